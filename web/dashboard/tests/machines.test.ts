import { expect, test, vi } from "vitest";
import { Refused } from "../src/api";
import { MachineDesk } from "../src/machines/desk";
import {
  busyWords,
  countWords,
  differences,
  drainWords,
  labelWords,
  machinesOf,
  nextWords,
  overloadWords,
  standing,
} from "../src/machines/words";
import type { WorkerEntry, WorkersView } from "../src/protocol";
import { TRAINED } from "./support";

function worker(name: string, more: Partial<WorkerEntry> = {}): WorkerEntry {
  return {
    name,
    node: "north-1",
    pid: 4711,
    version: "1.0",
    labels: {},
    device: "cpu",
    models: [TRAINED],
    streams: [],
    max_streams: 16,
    busy: 0.3,
    overload: "none",
    full: false,
    draining: false,
    outdated: false,
    alive: true,
    quiet_s: 0.2,
    health: { device: "answers" },
    ...more,
  };
}

function view(...workers: WorkerEntry[]): WorkersView {
  return { several: true, workers, waiting: [], counts: {} };
}

test("that a worker is gone outweighs that it is drained, and that that it is full", () => {
  const all = { full: true, draining: true, alive: false };
  expect(standing(worker("a", all))).toBe("gone");
  expect(standing(worker("a", { ...all, alive: true, streams: ["s"] }))).toBe("draining");
  expect(standing(worker("a", { ...all, alive: true }))).toBe("drained");
  expect(standing(worker("a", { full: true }))).toBe("full");
  expect(standing(worker("a"))).toBe("serving");
});

test("a dead worker says since when, and what becomes of its streams", () => {
  const dead = worker("a", { alive: false, quiet_s: 12, streams: ["s", "t"] });
  expect(nextWords(dead, view(dead, worker("b")))).toBe(
    "No answer for 12 s. Its 2 streams are being given to others. If it answers again, it starts without streams.",
  );
  expect(nextWords(dead, view(dead, worker("b", { full: true })))).toContain("waiting: no other worker has room");
  const empty = worker("a", { alive: false, quiet_s: 12 });
  expect(nextWords(empty, view(empty, worker("b")))).toContain("Its streams were given to others");
});

test("workers that were started with other settings are named, with what brings them up to date", () => {
  expect(differences(view(worker("a"), worker("b")))).toEqual([]);
  const [one] = differences(view(worker("a", { outdated: true }), worker("b")));
  expect(one).toContain("a runs with other settings than this gateway");
  expect(one).toContain("styleflow cluster upgrade");
  const [two] = differences(view(worker("a", { outdated: true }), worker("b", { outdated: true })));
  expect(two).toContain("a, b run with other settings");
});

test("a draining worker says what moves, or that nothing can", () => {
  const draining = worker("a", { draining: true, streams: ["s"] });
  expect(nextWords(draining, view(draining, worker("b")))).toContain("Its stream is being moved to others");
  expect(nextWords(draining, view(draining, worker("b", { draining: true })))).toContain("no other worker has room");
  expect(nextWords(worker("a", { draining: true }), view(draining))).toContain("it can be stopped");
  expect(nextWords(worker("a"), view(worker("a")))).toBe("");
});

test("whoever is about to drain a worker is told what follows", () => {
  const busy = worker("a", { streams: ["s", "t", "u"] });
  expect(drainWords(busy, view(busy, worker("b")))).toBe("Its 3 streams move to others; each pauses for a moment.");
  expect(drainWords(busy, view(busy))).toBe("No other worker has room: its streams stay until one has.");
  expect(drainWords(worker("a"), view(busy))).toBe("It gets no streams from then on.");
});

test("how busy a worker is, and what it leaves out, is said in words", () => {
  expect(busyWords(worker("a", { busy: 0.304 }))).toBe("30 % busy: room for more");
  expect(busyWords(worker("a", { busy: 0.7 }))).toBe("70 % busy: some room");
  expect(busyWords(worker("a", { busy: 0.97 }))).toBe("97 % busy: hardly any room");
  expect(busyWords(worker("a", { busy: 0.1, draining: true }))).toBe("10 % busy");
  expect(overloadWords(worker("a"))).toBe("");
  expect(overloadWords(worker("a", { overload: "longer_hop" }))).toBe("Rates each face less often");
  expect(overloadWords(worker("a", { overload: "something_new" }))).toBe("something new");
});

test("workers are gathered by machine, in the order in which they are told", () => {
  const all = view(worker("a"), worker("b"), worker("c", { node: "north-2", streams: ["s"] }));
  expect(machinesOf(all).map(({ node, workers }) => [node, workers.length])).toEqual([
    ["north-1", 2],
    ["north-2", 1],
  ]);
  expect(countWords({ ...all, waiting: [{ id: "t", why: "" }] })).toBe("2 machines, 3 workers, 2 streams");
});

test("another version or other weights are pointed out, those of the dead are not", () => {
  const same = view(worker("a"), worker("b"), worker("c", { version: "0.9", alive: false }));
  expect(differences(same)).toEqual([]);
  const old = view(worker("a"), worker("b"), worker("c", { version: "0.9" }));
  expect(differences(old)[0]).toMatch(/^c runs 0\.9; most run 1\.0\./);
  const two = view(worker("a"), worker("b", { version: "0.9" }));
  expect(differences(two)[0]).toMatch(/^b runs 0\.9; a runs 1\.0\./);
  const other = view(worker("a"), worker("b", { models: [{ ...TRAINED, sha256: "cdef0123456" }] }));
  expect(differences(other)).toEqual([
    "b runs styleflow-live 0.1 (cdef0123); a runs styleflow-live 0.1 (ab). Scores of different weights do not compare.",
  ]);
});

test("labels are written as a stream's placement is", () => {
  expect(labelWords(worker("a", { labels: { gpu: "true", site: "north" } }))).toBe("gpu: true, site: north");
  expect(labelWords(worker("a"))).toBe("");
});

const AWAY = new Refused({ title: "Away", detail: "", hint: "", status: 503, code: "x", faults: [] });

test("what was known stays while the analyzer does not answer", async () => {
  const workers = vi.fn().mockResolvedValueOnce(view(worker("a"))).mockRejectedValueOnce(AWAY);
  const desk = new MachineDesk({ workers, drain: vi.fn(), undrain: vi.fn() }, () => {});
  await desk.look();
  await desk.look();
  expect(desk.view?.workers).toHaveLength(1);
  expect(desk.problem?.title).toBe("Away");
});

test("a drained worker is shown as that at once, and asked about again", async () => {
  const answers = [worker("a"), worker("b")];
  const workers = vi.fn().mockResolvedValue(view(...answers));
  const drain = vi.fn().mockResolvedValue(worker("a", { draining: true }));
  const seen: (boolean | undefined)[] = [];
  const desk: MachineDesk = new MachineDesk({ workers, drain, undrain: vi.fn() }, () =>
    seen.push(desk.view?.workers[0]?.draining),
  );
  await desk.look();
  await desk.drain("a", true);
  expect(drain).toHaveBeenCalledWith("a");
  expect(seen).toEqual([false, true, false]);
  expect(workers).toHaveBeenCalledTimes(2);
});

test("a refusal to drain is told to whoever asked", async () => {
  const api = { workers: vi.fn(), drain: vi.fn().mockRejectedValue(AWAY), undrain: vi.fn() };
  await expect(new MachineDesk(api, () => {}).drain("a", true)).rejects.toBe(AWAY);
});

test("a stream's worker is named only where there are several", async () => {
  const one = worker("a", { streams: ["s"] });
  const workers = vi.fn().mockResolvedValueOnce(view(one));
  const desk = new MachineDesk({ workers, drain: vi.fn(), undrain: vi.fn() }, () => {});
  await desk.look();
  expect([desk.several, desk.workerOf("s")]).toEqual([false, ""]);
  workers.mockResolvedValueOnce(view(one, worker("b", { streams: ["t"] })));
  await desk.look();
  expect([desk.several, desk.workerOf("s"), desk.workerOf("t"), desk.workerOf("u")]).toEqual([true, "a", "b", ""]);
});
