import { expect, test } from "vitest";
import { EVERY } from "../src/incidents/filter";
import { address, parse } from "../src/route";

test.each([
  ["/", "", { page: "wall" }],
  ["/nowhere", "", { page: "wall" }],
  ["/streams/lobby", "", { page: "stream", id: "lobby", from: null, to: null }],
  ["/streams/a.b_c-1/", "", { page: "stream", id: "a.b_c-1", from: null, to: null }],
  ["/streams/lobby", "?from=2026-11-21T09:30:00Z", { page: "stream", id: "lobby", from: null, to: null }],
  ["/streams/lobby", "?from=bad&to=worse", { page: "stream", id: "lobby", from: null, to: null }],
  ["/incidents", "", { page: "incidents", filter: EVERY }],
  ["/incidents/", "?status=open&severity=huge", { page: "incidents", filter: { ...EVERY, status: "open" } }],
  ["/incidents/n-1", "", { page: "incident", id: "n-1" }],
  ["/alerts", "", { page: "alerts" }],
  ["/machines", "", { page: "machines" }],
  ["/alerts/x", "", { page: "wall" }],
  ["/streams/%zz", "", { page: "stream", id: "%zz", from: null, to: null }],
])("%s%s", (path, query, route) => {
  expect(parse(path, query, "/")).toEqual(route);
});

test("an address restores the view that it was made from", () => {
  const from = Date.parse("2026-11-21T09:30:00Z");
  const route = { page: "stream", id: "lobby", from, to: from + 60_000 } as const;
  const [path = "", query = ""] = address(route, "/").split("?");
  expect(address(route, "/")).toBe("/streams/lobby?from=2026-11-21T09:30:00Z&to=2026-11-21T09:31:00Z");
  expect(parse(path, query, "/")).toEqual(route);
});

test("below a prefix, addresses have it once and are understood", () => {
  const route = { page: "stream", id: "lobby", from: null, to: null } as const;
  expect(address({ page: "wall" }, "/styleflow/")).toBe("/styleflow/");
  expect(address(route, "/styleflow/")).toBe("/styleflow/streams/lobby");
  expect(parse("/styleflow/streams/lobby", "", "/styleflow/")).toEqual(route);
  expect(parse("/styleflow/", "", "/styleflow/")).toEqual({ page: "wall" });
  expect(parse("/streams/lobby", "", "/styleflow/")).toEqual({ page: "wall" });
});

test("a filter is restored from its address, without what nobody chose", () => {
  const filter = { ...EVERY, stream: "gate 2", acknowledged: "false", from: "2026-11-29T22:00:00Z" } as const;
  const [path = "", query = ""] = address({ page: "incidents", filter }, "/").split("?");
  expect(query).toBe("stream=gate+2&acknowledged=false&from=2026-11-29T22%3A00%3A00Z");
  expect(parse(path, query, "/")).toEqual({ page: "incidents", filter });
  expect(address({ page: "incidents", filter: EVERY }, "/a/")).toBe("/a/incidents");
  expect(address({ page: "incident", id: "n 1" }, "/a/")).toBe("/a/incidents/n%201");
});
