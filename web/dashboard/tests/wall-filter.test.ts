import { describe, expect, it } from "vitest";
import type { Condition } from "../src/attention";
import type { ConnectionState } from "../src/protocol";
import { address, parse } from "../src/route";
import {
  EVERYTHING,
  narrows,
  pressed,
  sections,
  type State,
  tally,
  toggled,
  wallFilterOf,
  wanted,
} from "../src/wall-filter";

const one = (condition: Condition, connection: ConnectionState | null, ...tags: string[]) => ({
  condition,
  connection,
  tags,
});

describe("the address of the wall", () => {
  it("keeps the filter, and only what was understood", () => {
    const filter = { state: "eyes", tags: ["Berlin & west", "doors"], grouped: true } as const;
    const path = address({ page: "wall", filter }, "/");
    expect(path).toBe("/?state=eyes&tag=Berlin+%26+west&tag=doors&group=tag");
    expect(parse("/", path.slice(1), "/")).toEqual({ page: "wall", filter });
    expect(wallFilterOf(new URLSearchParams("state=asleep&tag=&group=colour"))).toEqual(EVERYTHING);
  });

  it("is bare without one", () => {
    expect(address({ page: "wall" }, "/proxy/")).toBe("/proxy/");
    expect(address({ page: "wall", filter: EVERYTHING }, "/proxy/")).toBe("/proxy/");
  });
});

describe("a filter", () => {
  it.each<[State, Condition, ConnectionState | null, boolean]>([
    ["suspect", "suspect", "live", true],
    ["suspect", "clear", "live", false],
    ["eyes", "suspect", "live", true],
    ["eyes", "lost", "backing_off", true],
    ["eyes", "hindered", "live", true],
    ["eyes", "clear", "live", false],
    ["live", "clear", "live", true],
    ["live", "failed", "failed", false],
    ["waiting", "connecting", "connecting", true],
    ["waiting", "connecting", null, true],
    ["waiting", "ended", "ended", false],
  ])("%s lets %s, %s through: %s", (state, condition, connection, passes) => {
    expect(wanted({ ...EVERYTHING, state }, one(condition, connection))).toBe(passes);
  });

  it("wants every tag that it names", () => {
    const filter = { ...EVERYTHING, tags: ["Berlin", "doors"] };
    expect(wanted(filter, one("clear", "live", "doors", "Berlin", "north"))).toBe(true);
    expect(wanted(filter, one("clear", "live", "Berlin"))).toBe(false);
  });

  it("takes a tag in and out", () => {
    const once = toggled(EVERYTHING, "Berlin");
    expect(once.tags).toEqual(["Berlin"]);
    expect(toggled(once, "Berlin")).toEqual(EVERYTHING);
    expect([narrows(once), narrows({ ...EVERYTHING, grouped: true })]).toEqual([true, false]);
  });

  it("follows the keys", () => {
    const filter = { ...EVERYTHING, tags: ["Berlin"] };
    expect(pressed("2", filter)).toEqual({ ...filter, state: "eyes" });
    expect(pressed("g", filter)).toEqual({ ...filter, grouped: true });
    expect(pressed("0", { ...filter, grouped: true })).toEqual({ ...EVERYTHING, grouped: true });
    expect(pressed("x", filter)).toBeNull();
  });
});

describe("tags", () => {
  it("are counted in human order", () => {
    const streams = [one("clear", "live", "hall 10", "x"), one("clear", "live", "hall 9", "x")];
    expect(tally(streams)).toEqual([["hall 9", 1], ["hall 10", 1], ["x", 2]]);
  });

  it("make sections by the first one, those without any last", () => {
    const tags: Record<string, string[]> = { a: [], b: ["west"], c: ["east", "west"], d: ["west"] };
    expect(sections(["a", "b", "c", "d"], (id) => tags[id] ?? [])).toEqual([
      { tag: "east", ids: ["c"] },
      { tag: "west", ids: ["b", "d"] },
      { tag: "", ids: ["a"] },
    ]);
  });
});
