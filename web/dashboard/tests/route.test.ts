import { expect, test } from "vitest";
import { address, parse } from "../src/route";

test.each([
  ["/", "", { page: "wall" }],
  ["/nowhere", "", { page: "wall" }],
  ["/streams/lobby", "", { page: "stream", id: "lobby", from: null, to: null }],
  ["/streams/a.b_c-1/", "", { page: "stream", id: "a.b_c-1", from: null, to: null }],
  ["/streams/lobby", "?from=2026-11-21T09:30:00Z", { page: "stream", id: "lobby", from: null, to: null }],
  ["/streams/lobby", "?from=bad&to=worse", { page: "stream", id: "lobby", from: null, to: null }],
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
