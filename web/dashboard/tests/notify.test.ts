import { expect, test } from "vitest";
import { type Herald, Notifier } from "../src/incidents/notify";
import { titled } from "../src/title";
import { noticeWords } from "../src/words";
import { changed, incident, TRAINED } from "./support";

function notifier({ able = true, permission = "granted" as NotificationPermission, on = true } = {}) {
  const said: string[] = [];
  const opened: string[] = [];
  const asked: number[] = [];
  const herald: Herald = {
    able,
    permission: () => permission,
    ask: async () => {
      asked.push(1);
      permission = "granted";
      return permission;
    },
    say: (title, _, tag, clicked) => {
      said.push(`${title} ${tag}`);
      clicked();
    },
    wish: { get: () => on, set: (wanted) => (on = wanted) },
  };
  const it = new Notifier(herald, noticeWords, (id) => opened.push(id), () => {});
  return { it, said, opened, asked };
}

test("an incident above a hint is told once, and a click leads to it", () => {
  const { it, said, opened } = notifier();
  it.take(changed("opened"));
  it.take(changed("extended"));
  expect(said).toEqual(["Lobby: looks synthesised n-1"]);
  expect(opened).toEqual(["n-1"]);
});

test("a hint is told when it becomes more, and what people do never", () => {
  const { it, said } = notifier();
  it.take(changed("opened", { severity: "hint" }));
  it.take(changed("commented"));
  expect(said).toEqual([]);
  it.take(changed("extended", { severity: "low" }));
  expect(said).toHaveLength(1);
});

test("the browser is asked only when somebody turns notifications on", async () => {
  const { it, said, asked } = notifier({ permission: "default", on: false });
  it.take(changed("opened"));
  expect([said, asked]).toEqual([[], []]);
  expect(it.consent).toBe("off");
  await it.turn(true);
  expect([asked.length, it.consent]).toEqual([1, "on"]);
  it.take(changed("opened", { id: "n-2" }));
  expect(said).toHaveLength(1);
  await it.turn(false);
  expect(it.consent).toBe("off");
});

test.each([
  [{ able: false }, "unable"],
  [{ permission: "denied" as const }, "denied"],
])("with %j, notifications are %s", (how, consent) => {
  expect(notifier(how).it.consent).toBe(consent);
});

test("an experimental model's incident is worded as the hint that it is", () => {
  const model = { ...TRAINED, status: "experimental" as const };
  expect(noticeWords(incident({ model })).title).toBe("Lobby: possibly synthesised");
  expect(noticeWords(incident()).body).toContain("score 0.93 (0.88 to 0.97)");
});

test.each([
  [0, 0, "", "StyleFlow Live"],
  [0, 2, "Lobby", "(2) Lobby · StyleFlow Live"],
  [0, 1, "", "(1) StyleFlow Live"],
  [1, 2, "", "(1) suspect · StyleFlow Live"],
  [3, 0, "Incidents", "(3) suspect · Incidents · StyleFlow Live"],
])("with %i suspect and %i waiting, the title of %j is %j", (suspects, waiting, view, title) => {
  expect(titled({ suspects, waiting }, view)).toBe(title);
});
