import { describe, expect, it } from "vitest";
import { LOOKS, layout, pictureWidth } from "../src/layout";

describe("layout", () => {
  it("shows fifteen tiles as five by three in what a window of 1600 by 900 leaves", () => {
    expect(layout(15, 1560, 780)).toMatchObject({ columns: 5, rows: 3, scrolls: false });
    expect(layout(15, 1560, 780).tile).toBeGreaterThan(280);
  });

  it("never leaves a row empty, and never leaves its room unless it scrolls", () => {
    for (const [width, height] of [[1560, 780], [1240, 690], [760, 1200], [2520, 1300], [366, 640]] as const) {
      for (let count = 1; count <= 64; count += 1) {
        const { columns, rows, tile, tier, scrolls } = layout(count, width, height);
        const { facts, gap } = LOOKS.find((look) => look.tier === tier)!;
        expect(columns * (rows - 1)).toBeLessThan(count);
        expect(columns * rows).toBeGreaterThanOrEqual(count);
        expect(columns * tile + (columns - 1) * (scrolls ? 10 : gap)).toBeLessThanOrEqual(width);
        if (!scrolls) {
          expect(rows * (tile / (16 / 9) + facts) + (rows - 1) * gap).toBeLessThanOrEqual(height + 1e-6);
        }
      }
    }
  });

  it("finds tiles no smaller than any other arrangement of the same look", () => {
    for (let count = 1; count <= 30; count += 1) {
      const found = layout(count, 1560, 780);
      if (found.scrolls) continue;
      const { facts, gap } = LOOKS.find((look) => look.tier === found.tier)!;
      for (let columns = 1; columns <= count; columns += 1) {
        const rows = Math.ceil(count / columns);
        const tile = Math.min(
          (1560 - gap * (columns - 1)) / columns,
          ((780 - gap * (rows - 1)) / rows - facts) * (16 / 9),
        );
        expect(found.tile).toBeGreaterThanOrEqual(Math.floor(tile));
      }
    }
  });

  it("gives one stream the whole room", () => {
    const { columns, tile } = layout(1, 1560, 780);
    expect(columns).toBe(1);
    expect(tile).toBe(Math.floor((780 - 128) * (16 / 9)));
  });

  it("follows the shape of the pictures", () => {
    expect(layout(4, 1560, 780, 9 / 16).columns).toBe(4);
    expect(layout(4, 1560, 780, 16 / 9).columns).toBe(2);
  });

  it("scrolls where not even the smallest tiles fit", () => {
    const { columns, tile, scrolls, tier } = layout(64, 1240, 690);
    expect({ columns, scrolls, tier }).toEqual({ columns: 7, scrolls: true, tier: "crowd" });
    expect(tile).toBeGreaterThanOrEqual(150);
  });

  it("shows one below the other on a phone, two abreast when there are many", () => {
    expect(layout(3, 366, 640)).toMatchObject({ columns: 1, tile: 366, scrolls: true });
    expect(layout(15, 366, 640)).toMatchObject({ columns: 2, tile: 178, scrolls: true });
  });

  it("survives a window without room", () => {
    expect(layout(3, 0, 0)).toMatchObject({ columns: 1, scrolls: true });
    expect(layout(0, 1560, 780)).toMatchObject({ columns: 1, rows: 1 });
    expect(layout(5, 1200, -50)).toMatchObject({ scrolls: true });
  });
});

describe("pictureWidth", () => {
  it("asks for few different widths", () => {
    expect([170, 291, 352, 500, 900, 1400].map(pictureWidth)).toEqual([320, 320, 320, 640, 960, 1280]);
  });
});
