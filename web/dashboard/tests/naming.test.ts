import { expect, test } from "vitest";
import { nameFault, ownName, tagsFault, tagsOf } from "../src/naming";

test("this browser's own stream has a name that a human would give", () => {
  const at = new Date(2026, 11, 1, 14, 5);
  expect(ownName("camera", at, "en-GB")).toBe("my camera, Tuesday 14:05");
  expect(ownName("tab", at, "en-GB")).toBe("my tab, Tuesday 14:05");
});

test.each([
  ["Lobby, north door", ""],
  ["", ""],
  ["x".repeat(129), "At most 128 characters"],
  ["bell\u0007", "A character of it cannot be shown"],
  ["turned \u202e around", "A character of it cannot be shown"],
])("a name %j: %s", (name, fault) => {
  expect(nameFault(name)).toBe(fault);
});

test("tags are divided by commas, each once", () => {
  expect(tagsOf(" Berlin, doors,, Berlin ")).toEqual(["Berlin", "doors"]);
  expect(tagsOf("")).toEqual([]);
});

test("tags have bounds", () => {
  expect(tagsFault(["Berlin"])).toBe("");
  expect(tagsFault(["x".repeat(33)])).toContain("longer than 32");
  expect(tagsFault(Array.from({ length: 17 }, (_, n) => String(n)))).toBe("At most 16 tags");
  expect(tagsFault(["a\tb"])).toContain("cannot be shown");
});
