import { expect, test } from "vitest";
import { Refused } from "../src/api";
import { IncidentDesk, type Source } from "../src/incidents/desk";
import { EVERY, wants } from "../src/incidents/filter";
import { placeOf, unseenWords, wasWords } from "../src/incidents/mark";
import { actionOf, HELP, step } from "../src/incidents/keys";
import { said } from "../src/incidents/ledger";
import type { IncidentPage } from "../src/incidents/wire";
import type { IncidentData } from "../src/protocol";
import { changed, incident, T0 } from "./support";

const at = (ms: number) => new Date(T0 + ms).toISOString();
const page = (...incidents: IncidentData[]): IncidentPage => ({ incidents, next: null });

/** A desk, what it asked for, and what it is answered next. */
function desk(...answers: (IncidentPage | Refused)[]) {
  const asked: string[] = [];
  const source: Source = {
    incidents: async (query, limit, cursor) => {
      asked.push(`${query} ${limit} ${cursor ?? "-"}`);
      const answer = answers.shift() ?? page();
      if (answer instanceof Refused) throw answer;
      return answer;
    },
    changeIncident: async (id, change) =>
      incident({ id, label: change.label ?? null, acknowledged: change.acknowledged ? { by: "ada", at: at(9) } : null }),
  };
  return { asked, desk: new IncidentDesk(source, () => {}) };
}

const ids = (of: IncidentDesk) => of.rows.map(({ id }) => id);

test("a new incident of the filter comes in where it belongs, another stays out", async () => {
  const { desk: it } = desk(page(incident({ id: "b", opened: at(20) }), incident({ id: "a", opened: at(0) })));
  await it.show({ ...EVERY, stream: "lobby" });
  it.take(changed("opened", { id: "c", opened: at(30) }));
  it.take(changed("opened", { id: "m", opened: at(10) }));
  it.take(changed("opened", { id: "x", stream: "gate" }));
  expect(ids(it)).toEqual(["c", "b", "m", "a"]);
});

test("an incident that the filter no longer asks for stays where it was, changed", async () => {
  const { desk: it } = desk(page(incident({ id: "a" }), incident({ id: "b" })));
  await it.show({ ...EVERY, acknowledged: "false" });
  await it.change("a", { acknowledged: true });
  expect(ids(it)).toEqual(["a", "b"]);
  expect(it.rows[0]?.acknowledged?.by).toBe("ada");
});

test("older ones come by the cursor, none of them twice", async () => {
  const first = { incidents: [incident({ id: "c" }), incident({ id: "b" })], next: "older" };
  const { asked, desk: it } = desk(first, page(incident({ id: "b" }), incident({ id: "a" })));
  await it.show(EVERY);
  expect(it.next).toBe("older");
  await it.showMore();
  expect(ids(it)).toEqual(["c", "b", "a"]);
  expect(asked).toEqual([" 50 -", " 50 older"]);
  await it.showMore();
  expect(asked).toHaveLength(2);
});

test("an incident older than the last row waits for its page", async () => {
  const { desk: it } = desk({ incidents: [incident({ id: "b", opened: at(20) })], next: "older" });
  await it.show(EVERY);
  it.take(changed("labelled", { id: "a", opened: at(0) }));
  expect(ids(it)).toEqual(["b"]);
});

test("the badge counts what is open and acknowledged by nobody, alarms apart from hints", async () => {
  const { asked, desk: it } = desk(page(incident({ id: "a" }), incident({ id: "b", severity: "hint" })));
  await it.recount();
  expect(asked).toEqual(["status=open&acknowledged=false 500 -", "status=closed&acknowledged=false 500 -"]);
  expect(it.open).toEqual({ count: 2, alarms: 1, more: false });
  it.take(changed("opened", { id: "c" }));
  expect(it.open.count).toBe(3);
  it.take(changed("closed", { id: "a", status: "closed" }));
  it.take(changed("acknowledged", { id: "c", acknowledged: { by: "ada", at: at(1) } }));
  expect(it.open).toEqual({ count: 1, alarms: 0, more: false });
});

test("what is told while counting is newer than the count", async () => {
  const { desk: it } = desk(page(incident({ id: "a" })));
  const counting = it.recount();
  it.take(changed("closed", { id: "a", status: "closed" }));
  await counting;
  expect(it.open.count).toBe(0);
});

test.each([
  [404, "off"],
  [500, "failed"],
])("an answer of %i makes the list %s", async (status, progress) => {
  const refused = new Refused({ title: "No", detail: "", hint: "", status, code: "", faults: [] });
  const { desk: it } = desk(refused);
  await it.show(EVERY);
  expect(it.progress).toBe(progress);
});

test("an answer that comes late does not replace what was asked for since", async () => {
  const late: ((found: IncidentPage) => void)[] = [];
  const source: Source = {
    incidents: () => new Promise((resolve) => late.push(resolve)),
    changeIncident: async () => incident(),
  };
  const it = new IncidentDesk(source, () => {});
  const one = it.show({ ...EVERY, stream: "gate" });
  const two = it.show({ ...EVERY, stream: "lobby" });
  late[1]?.(page(incident({ id: "new" })));
  late[0]?.(page(incident({ id: "old" })));
  await Promise.all([one, two]);
  expect(ids(it)).toEqual(["new"]);
});

test("what is told while the list is fetched is newer than the list", async () => {
  const late: ((found: IncidentPage) => void)[] = [];
  const source: Source = {
    incidents: () => new Promise((resolve) => late.push(resolve)),
    changeIncident: async (id) => incident({ id, acknowledged: { by: "ada", at: at(9) } }),
  };
  const it = new IncidentDesk(source, () => {});
  const shown = it.show(EVERY);
  await it.change("a", { acknowledged: true });
  it.take(changed("opened", { id: "new", opened: at(50) }));
  late[0]?.(page(incident({ id: "a" })));
  await shown;
  expect(ids(it)).toEqual(["new", "a"]);
  expect(it.rows[1]?.acknowledged?.by).toBe("ada");
});

test("times bound the beginning of an incident", () => {
  const one = incident({ opened: at(0) });
  expect(wants({ ...EVERY, from: at(-1_000), to: at(1_000) }, one)).toBe(true);
  expect(wants({ ...EVERY, from: at(1_000) }, one)).toBe(false);
  expect(wants({ ...EVERY, to: at(-1_000) }, one)).toBe(false);
});

test("every key of the help does something, Enter by itself", () => {
  const silent = HELP.filter(({ keys }) => actionOf(keys) === null).map(({ keys }) => keys);
  expect(silent).toEqual(["Enter"]);
  expect(actionOf("x")).toBeNull();
});

test("a step leads from nowhere to the first row, and not beyond the ends", () => {
  expect([step(-1, 1, 3), step(-1, -1, 3), step(0, -1, 3), step(1, 1, 3), step(2, 1, 3)]).toEqual([0, 0, 0, 2, 2]);
});

test.each([
  [{ label: "true", was: null }, "label true, was null"],
  [{ tracks: [1, 2] }, "tracks [1,2]"],
  ["all", "all"],
  [null, ""],
  [undefined, ""],
])("the detail %j of an audit entry reads %j", (detail, words) => {
  expect(said(detail)).toBe(words);
});

test("what happened at a stream stays marked until somebody has acknowledged it", async () => {
  const peak = { p: 0.83, lo: 0.7, hi: 0.9, at: at(0) };
  const old = incident({ id: "a", status: "closed", opened: at(0), peak });
  const { desk: it } = desk(page(), page(incident({ id: "b", status: "closed", opened: at(60_000), peak }), old));
  await it.recount();
  expect(it.unseenOf("gate")).toBeNull();
  const both = it.unseenOf("lobby");
  expect([both?.newest.id, both?.count]).toEqual(["b", 2]);
  it.take(changed("acknowledged", { id: "b", status: "closed", acknowledged: { by: "ada", at: at(90_000) } }));
  expect(it.unseenOf("lobby")).toEqual({ newest: old, count: 1 });
  it.take(changed("opened", { id: "c", opened: at(99_000) }));
  expect(it.unseenOf("lobby")?.newest.id).toBe("c");
  it.take(changed("closed", { id: "c", status: "closed", opened: at(99_000) }));
  expect(it.unseenOf("lobby")?.count).toBe(2);
});

test("the mark says when and how high, as firmly as the model may, and leads there", () => {
  const peak = { p: 0.831, lo: 0.7, hi: 0.9, at: at(0) };
  const one = incident({ id: "a", status: "closed", opened: at(0), peak });
  const clock = new Date(T0).toTimeString().slice(0, 5);
  expect(wasWords(one, T0)).toBe(`was suspect ${clock}, peak 0.83`);
  expect(wasWords({ ...one, status: "open" }, T0)).toBe(`suspect since ${clock}, peak 0.83`);
  expect(wasWords({ ...one, severity: "hint" }, T0)).toBe(`hint ${clock}, peak 0.83`);
  expect(wasWords(one, T0 + 3 * 86_400_000)).toContain(`, ${clock}, peak 0.83`);
  expect(unseenWords({ newest: one, count: 3 }, T0)).toBe(`was suspect ${clock}, peak 0.83 and 2 more`);
  expect(placeOf({ newest: one, count: 1 })).toEqual({ page: "incident", id: "a" });
  const several = placeOf({ newest: one, count: 2 });
  expect(several).toEqual({ page: "incidents", filter: { ...EVERY, stream: "lobby", acknowledged: "false" } });
});
