import { expect, test } from "vitest";
import { captureProblem, iceServers } from "../src/whip";

test("ICE servers are read from Link headers", () => {
  const header =
    '<stun:stun.example.net>; rel="ice-server", ' +
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; ' +
    'credential="a,b"; credential-type="password", <https://example.net>; rel="help"';
  expect(iceServers(header)).toEqual([
    { urls: "stun:stun.example.net" },
    { urls: "turn:turn.example.net?transport=udp", username: "user", credential: "a,b" },
  ]);
  expect(iceServers("")).toEqual([]);
});

test.each(["NotAllowedError", "NotFoundError", "NotReadableError", "InsecureContext", "Other"])(
  "%s is explained",
  (name) => {
    const problem = captureProblem(Object.assign(new Error("x"), { name }), "camera");
    expect(problem.title).not.toBe("");
    expect(problem.hint).not.toBe("");
  },
);
