import { expect, test } from "vitest";
import { Api } from "../src/api";

/** What is asked for, by an API below a prefix. */
function below(root: string) {
  const asked: string[] = [];
  const fetcher = async (input: RequestInfo | URL) => {
    asked.push(String(input));
    return new Response("{}");
  };
  return { asked, api: new Api(() => null, fetcher as typeof fetch, new URL(root)) };
}

test("everything is asked for below the prefix that the page is served at", async () => {
  const { asked, api } = below("https://scores.example/styleflow/");
  await api.removeStream("a b");
  await api.ask("whip/me", { method: "POST" });
  expect(asked).toEqual([
    "https://scores.example/styleflow/api/v1/streams/a%20b",
    "https://scores.example/styleflow/whip/me",
  ]);
});

test.each(["/styleflow/whip/me/x", "https://scores.example/styleflow/whip/me/x"])(
  "the prefix of the Location %s is not doubled",
  async (location) => {
    const { asked, api } = below("https://scores.example/styleflow/");
    await api.ask(location, { method: "DELETE" });
    expect(asked).toEqual(["https://scores.example/styleflow/whip/me/x"]);
  },
);
