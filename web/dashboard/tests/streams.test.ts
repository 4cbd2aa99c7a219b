import { expect, test } from "vitest";
import type { HistoryView } from "../src/protocol";
import { Streams, doubt, frameAge, leading, primary, shared, speaking } from "../src/streams";
import { say, score, T0, TRAINED, UNTRAINED } from "./support";

function lobby(): { streams: Streams; get: () => NonNullable<ReturnType<Streams["all"]["get"]>> } {
  const streams = new Streams();
  streams.take(say.snapshot(), T0);
  return {
    streams,
    get: () => {
      const stream = streams.all.get("lobby");
      if (!stream) throw new Error("gone");
      return stream;
    },
  };
}

test("a snapshot replaces what was known of the faces", () => {
  const { streams, get } = lobby();
  streams.take(say.score({ track: 1 }), T0);
  streams.take(say.snapshot("lobby", { scores: [score({ track: 2 })] }), T0);
  expect([...get().faces.keys()]).toEqual([2]);
});

test("what was removed while the page was away goes, and is told", () => {
  const { streams } = lobby();
  streams.take(say.snapshot("hall"), T0);
  expect(streams.take(say.subscribed("hall"), T0)).toEqual(["lobby"]);
  expect([...streams.all.keys()]).toEqual(["hall"]);
});

test("a new stream is shown before its first status", () => {
  const streams = new Streams();
  const added = { kind: "stream_added" as const, id: "x/1", name: "Gate" };
  const models = { model: TRAINED, models: [TRAINED] };
  streams.take(say.event({ ...added, ...models, demo: false, notice: "", tags: [] }, 0, "gate"), T0);
  expect(streams.all.get("gate")?.name).toBe("Gate");
});

test("faces end with their tracks and with the epoch", () => {
  const { streams, get } = lobby();
  streams.take(say.score({ track: 1 }), T0);
  streams.take(say.score({ track: 2 }), T0);
  streams.take(say.event({ kind: "track_ended", id: "l/1", track: 1, at: 2, reason: "lost" }), T0);
  expect([...get().faces.keys()]).toEqual([2]);
  streams.take(say.event({ kind: "epoch_started", id: "l/2", cause: "connected" }), T0);
  expect(get().faces.size).toBe(0);
});

test("an event that comes twice is kept once", () => {
  const { streams, get } = lobby();
  const event = say.event({ kind: "track_started", id: "lobby/9", track: 1, at: 0 });
  streams.take(event, T0);
  streams.take(event, T0);
  expect(get().events).toHaveLength(1);
});

test("the past goes in front of the present, without doubling", () => {
  const { streams, get } = lobby();
  streams.take(say.score({ p: 0.5 }, 10_000), T0);
  streams.take(say.event({ kind: "track_started", id: "lobby/9", track: 1, at: 0 }, 9_000), T0);
  const past: HistoryView = {
    stream: "lobby",
    now: T0 / 1000 + 10,
    scores: {
      t: [T0 / 1000 + 8, T0 / 1000 + 10],
      epoch: [1, 1],
      track: [1, 1],
      detector: [TRAINED.name, TRAINED.name],
      p: [0.1, 0.5],
      lo: [0, 0],
      hi: [1, 1],
      state: ["ok", "ok"],
      face_px: [100, 100],
      sharpness: [80, 80],
    },
    pulses: { t: [], epoch: [], fps: [], loss: [], tracks: [] },
    events: [
      say.event({ kind: "track_started", id: "lobby/8", track: 1, at: 0 }, 1_000),
      say.event({ kind: "track_started", id: "lobby/9", track: 1, at: 0 }, 9_000),
    ].flatMap((message) => (message.type === "event" ? [message] : [])),
  };
  streams.seed(past);
  expect(get().points.map((point) => point.p)).toEqual([0.1, 0.5]);
  expect(get().events.map((event) => event.id)).toEqual(["lobby/8", "lobby/9"]);
});

test("the age counts from the newest frame, by the server's clock", () => {
  const { streams, get } = lobby();
  streams.take(say.status({ age_s: 0.5 }, 1_000), T0 + 6_000); // our clock is 5 s ahead
  expect(streams.skew).toBe(-5_000);
  expect(frameAge(get(), T0 + 3_000)).toBe(2_500);
  streams.take(say.score({}, 2_900), T0);
  expect(frameAge(get(), T0 + 3_000)).toBe(100);
  streams.take(say.status({ age_s: null }, 3_000), T0);
  expect(frameAge(get(), T0 + 3_000)).toBe(100);
});

test("a stream that never showed a frame has no age", () => {
  const streams = new Streams();
  streams.take(say.snapshot("hall", { status: { ...blank(), age_s: null } }), T0);
  const hall = streams.all.get("hall");
  expect(hall && frameAge(hall, T0)).toBeNull();
});

function blank() {
  const message = say.status();
  if (message.type !== "status") throw new Error("not a status");
  return message.data;
}

test("the suspect face leads, then the highest score", () => {
  const { streams, get } = lobby();
  streams.take(say.score({ track: 1, p: 0.6 }), T0);
  streams.take(say.score({ track: 2, p: 0.3 }), T0);
  expect(leading(get())?.track).toBe(1);
  streams.take(say.score({ track: 2, p: 0.3, state: "suspect" }), T0);
  expect(leading(get())?.track).toBe(2);
});

test("untrained weighs more than demo, and either is doubt", () => {
  const { streams, get } = lobby();
  expect(doubt(get())).toBeNull();
  streams.take(say.status({ demo: true }), T0);
  expect(doubt(get())).toBe("demo");
  streams.take(say.snapshot("lobby", { models: [UNTRAINED], demo: true }), T0);
  expect(doubt(get())).toBe("untrained");
});

test("memory is bounded", () => {
  const { streams, get } = lobby();
  for (let n = 0; n < 5_000; n += 1) {
    streams.take(say.score({}, n * 100), T0);
    streams.take(say.event({ kind: "track_started", id: `l/${n}`, track: n, at: 0 }, n), T0);
  }
  expect(get().points).toHaveLength(4096);
  expect(get().events).toHaveLength(512);
});

test("the ensemble speaks for several detectors, or else the first", () => {
  const other = { ...TRAINED, name: "caddm" };
  const ensemble = { ...TRAINED, name: "ensemble" };
  const { streams, get } = lobby();
  streams.take(say.snapshot("lobby", { models: [TRAINED, other] }), T0);
  streams.take(say.score({ detector: "caddm", model: other, p: 0.9 }), T0);
  expect(speaking(get(), 1)?.detector).toBe("caddm"); // the only one that has spoken
  streams.take(say.score({ p: 0.2 }), T0);
  expect(primary(get())).toBe(TRAINED.name);
  expect(leading(get())?.p).toBe(0.2);
  streams.take(
    say.snapshot("lobby", {
      models: [TRAINED, other, ensemble],
      scores: [score({ p: 0.2 }), score({ detector: "ensemble", model: ensemble, p: 0.6 })],
    }),
    T0,
  );
  expect(leading(get())?.p).toBe(0.6);
  expect([...get().faces.keys()]).toEqual([1]);
});

test("doubt is a model's own: an untrained one does not taint the others", () => {
  const { streams, get } = lobby();
  const bad = { ...UNTRAINED, name: "new" };
  streams.take(say.snapshot("lobby", { models: [TRAINED, bad] }), T0);
  expect(doubt(get())).toBeNull();
  expect(doubt(get(), bad)).toBe("untrained");
});

test("one detector's suspicion is heard, unless an ensemble weighs it or it is no finding", () => {
  const other = { ...TRAINED, name: "caddm" };
  const suspect = score({ detector: "caddm", model: other, p: 0.9, state: "suspect" });
  const lead = (models: (typeof other)[], ...scores: ReturnType<typeof score>[]) => {
    const { streams, get } = lobby();
    streams.take(say.snapshot("lobby", { models, scores: [score(), ...scores] }), T0);
    return leading(get())?.detector;
  };
  expect(lead([TRAINED, other], suspect)).toBe("caddm");
  const ensemble = { ...TRAINED, name: "ensemble" };
  const calm = score({ detector: "ensemble", model: ensemble, p: 0.4 });
  expect(lead([TRAINED, other, ensemble], suspect, calm)).toBe("ensemble");
  const bad = { ...other, status: "untrained" as const };
  expect(lead([TRAINED, bad], { ...suspect, model: bad })).toBe(TRAINED.name);
});

test("streams are known once every one of them has shown itself", () => {
  const streams = new Streams();
  streams.take(say.subscribed("lobby", "gate", "yard"), T0);
  expect(streams.known).toBe(false);
  streams.take(say.snapshot("lobby"), T0);
  streams.take(say.snapshot("gate"), T0);
  expect(streams.known).toBe(false);
  streams.take(say.event({ kind: "stream_removed", id: "1" }, 0, "yard"), T0);
  expect(streams.known).toBe(true);
});

test("nothing to wait for is known at once", () => {
  const streams = new Streams();
  streams.take(say.subscribed(), T0);
  expect(streams.known).toBe(true);
});

test("what all models are is said once, what only some are of each", () => {
  const streams = new Streams();
  streams.take(say.snapshot("a", { models: [UNTRAINED] }), T0);
  streams.take(say.snapshot("b", { models: [UNTRAINED] }), T0);
  expect(shared(streams.all.values())).toBe("untrained");
  streams.take(say.snapshot("c", { models: [TRAINED] }), T0);
  expect(shared(streams.all.values())).toBeNull();
  expect(shared([])).toBeNull();
});

test("a new name and tags are taken at once, and by every status", () => {
  const { streams, get } = lobby();
  streams.take(say.event({ kind: "stream_described", id: "e", name: "North door", tags: ["Berlin"] }), T0);
  expect(get()).toMatchObject({ name: "North door", tags: ["Berlin"] });
  streams.take(say.status({ name: "South door", tags: [] }), T0);
  expect(get()).toMatchObject({ name: "South door", tags: [] });
});
