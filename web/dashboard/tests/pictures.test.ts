import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Api } from "../src/api";
import { interval, type Picture, PictureDesk } from "../src/pictures";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A server that has a picture for every stream, and remembers who asked. */
function rig(answer: (path: string, tag: string | null) => Response = full, awake = () => true) {
  const asked: string[] = [];
  let flying = 0;
  let most = 0;
  const fetcher = async (input: RequestInfo | URL, options?: RequestInit) => {
    asked.push(String(input));
    flying += 1;
    most = Math.max(most, flying);
    await new Promise((resolve) => setTimeout(resolve, 5));
    flying -= 1;
    return answer(String(input), new Headers(options?.headers).get("if-none-match"));
  };
  const api = new Api(() => null, fetcher as typeof fetch, new URL("http://test/"));
  const desk = new PictureDesk(api, awake, () => Date.now(), async () => ({ close() {} }) as ImageBitmap);
  return { asked, desk, most: () => most };
}

function full(): Response {
  const faces = JSON.stringify({ faces: [{ track: 1, box: { x0: 1, y0: 2, x1: 3, y1: 4 }, scores: [] }] });
  const headers = { etag: '"1.7.320"', "picture-size": "640x360", "picture-faces": faces };
  return new Response("jpeg", { headers });
}

test("a picture comes with the faces that are in it", async () => {
  const shown: (Picture | null)[] = [];
  const { desk } = rig();
  desk.watch("lobby", 320, (picture) => shown.push(picture));
  await vi.advanceTimersByTimeAsync(20);
  expect(shown[0]).toMatchObject({ width: 640, height: 360, faces: [{ track: 1, scores: [] }] });
});

test("a picture that is known already is not shown again", async () => {
  const shown: unknown[] = [];
  const { desk } = rig((_, tag) => (tag === '"1.7.320"' ? new Response(null, { status: 304 }) : full()));
  desk.watch("lobby", 320, (picture) => shown.push(picture));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(shown).toHaveLength(1);
});

test("few are asked for at a time, and all get their turn", async () => {
  const { asked, desk, most } = rig();
  for (let n = 0; n < 64; n += 1) desk.watch(`cam-${n}`, 320, () => undefined);
  await vi.advanceTimersByTimeAsync(interval(64));
  expect(most()).toBe(3);
  expect(new Set(asked).size).toBe(64);
});

test("the more there are, the slower each comes", () => {
  expect(interval(1)).toBe(240);
  expect(interval(16)).toBe(720);
  expect(interval(64)).toBe(2_500);
});

test("what is out of sight is not asked for", async () => {
  const { asked, desk } = rig();
  const stop = desk.watch("lobby", 320, () => undefined);
  await vi.advanceTimersByTimeAsync(1_000);
  stop();
  await vi.advanceTimersByTimeAsync(500);
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked).toHaveLength(before);
});

test("a server that fails is asked less often, and then again", async () => {
  const { asked, desk } = rig(() => new Response("{}", { status: 503 }));
  desk.watch("lobby", 320, () => undefined);
  await vi.advanceTimersByTimeAsync(6_500);
  expect(asked.length).toBeGreaterThanOrEqual(3);
  expect(asked.length).toBeLessThanOrEqual(4);
});

test("nothing is asked for while nobody looks or no server answers", async () => {
  let awake = false;
  const { asked, desk } = rig(full, () => awake);
  desk.watch("lobby", 320, () => undefined);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toHaveLength(0);
  awake = true;
  await vi.advanceTimersByTimeAsync(600);
  expect(asked.length).toBeGreaterThan(0);
});

test("what a detector points at comes with the picture that it belongs to", async () => {
  const shown: (Picture | null)[] = [];
  const crop = [[0, 0], [10, 0], [10, 10], [0, 10]];
  const overlay = { detector: "caddm", explained: true, left_out: 0, faces: [{ track: 1, crop, patches: [], kinds: [] }] };
  const { asked, desk } = rig(() => {
    const answer = full();
    answer.headers.set("picture-overlay", JSON.stringify(overlay));
    return answer;
  });
  desk.watch("lobby", 320, (picture) => shown.push(picture), { overlay: "caddm" });
  await vi.advanceTimersByTimeAsync(20);
  expect(asked[0]).toBe("http://test/api/v1/streams/lobby/picture.jpg?width=320&overlay=caddm");
  expect(shown[0]?.overlay).toEqual(overlay);
});

test("who may not see it is told why, and an unreachable server is no refusal", async () => {
  const told: string[] = [];
  const refused = (problem: { code: string }) => told.push(problem.code);
  const busy = JSON.stringify({ code: "overlays_busy", status: 429 });
  const first = rig(() => new Response(busy, { status: 429 }));
  first.desk.watch("lobby", 320, () => undefined, { overlay: "caddm", refused });
  await vi.advanceTimersByTimeAsync(20);
  expect(told).toEqual(["overlays_busy"]);
  const second = rig(() => {
    throw new Error("connection refused");
  });
  second.desk.watch("lobby", 320, () => undefined, { overlay: "caddm", refused });
  await vi.advanceTimersByTimeAsync(20);
  expect(told).toHaveLength(1);
});
