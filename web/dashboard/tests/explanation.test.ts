import { expect, test } from "vitest";
import type { PictureOverlay } from "../src/protocol";
import { matrix } from "../src/regions";
import { hasBoth, told } from "../src/stream/explanation";

const NOTHING: PictureOverlay = {
  detector: "caddm",
  points_at: "artifacts",
  explained: true,
  left_out: 0,
  faces: [],
};

function seen(patches: number, left_out = 0): PictureOverlay {
  const region: [number, number, number, number, number] = [100, 100, 200, 200, 900];
  const crop: [[number, number], [number, number], [number, number], [number, number]] = [
    [0, 0],
    [1, 0],
    [1, 1],
    [0, 1],
  ];
  return { ...NOTHING, left_out, faces: [{ track: 1, crop, patches: Array(patches).fill(region), kinds: Array(patches).fill("") }] };
}

test("it says what there is to see, and that a frame was not rated", () => {
  expect(told(null)).toMatch(/^Waiting/);
  expect(told({ ...NOTHING, explained: false })).toMatch(/^Waiting/);
  expect(told(NOTHING)).toBe("Nothing stands out in the frame shown");
  expect(told(seen(1))).toBe("1 region in the frame shown");
  expect(told(seen(96, 4))).toBe("96 regions in the frame shown, 4 weaker ones left out");
});

test("a crop that is turned and moved takes its regions along", () => {
  expect(matrix([[100, 50], [100, 90], [60, 90], [60, 50]])).toBe("matrix(0 40 -40 0 100 50)");
});

test("two maps are told apart where there are two", () => {
  const both = seen(2);
  expect(hasBoth(both)).toBe(false);
  both.faces[0]!.kinds = ["temporal", "spatial"];
  expect(hasBoth(both)).toBe(true);
});
