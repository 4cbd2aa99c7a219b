// Machines and workers in plain words: what each does, and what happens next.

import type { WorkerEntry, WorkersView } from "../protocol";
import { seconds } from "../words";

export type Standing = "serving" | "full" | "draining" | "drained" | "gone";

export interface Machine {
  node: string;
  workers: readonly WorkerEntry[];
}

/** Where a worker stands; that it is gone outweighs all. */
export function standing(worker: WorkerEntry): Standing {
  if (!worker.alive) return "gone";
  if (worker.draining) return worker.streams.length > 0 ? "draining" : "drained";
  return worker.full ? "full" : "serving";
}

export const STANDING_WORDS: Record<Standing, string> = {
  serving: "Serving",
  full: "Full",
  draining: "Draining",
  drained: "Drained",
  gone: "Gone",
};

const OVERLOAD_WORDS: Record<string, string> = {
  none: "",
  detect_less: "Looks for new faces less often",
  longer_hop: "Rates each face less often",
  sampled_windows: "Analyzes streams of low priority only now and then",
  refuse_streams: "Refuses new streams",
};

/** What a worker leaves out because it has too much to do; empty when nothing. */
export function overloadWords({ overload }: WorkerEntry): string {
  return OVERLOAD_WORDS[overload] ?? overload.replaceAll("_", " ");
}

/** How busy a worker is, as people say it, and how much room that leaves where it takes streams. */
export function busyWords(worker: WorkerEntry): string {
  const { busy } = worker;
  const share = `${Math.round(busy * 100)} % busy`;
  if (!takes(worker)) return share;
  if (busy >= 0.85) return `${share}: hardly any room`;
  return busy >= 0.6 ? `${share}: some room` : `${share}: room for more`;
}

/** What happens next to a worker that is not just serving; empty when it is. */
export function nextWords(worker: WorkerEntry, view: WorkersView): string {
  const { streams } = worker;
  const others = view.workers.filter((one) => one.name !== worker.name && takes(one));
  switch (standing(worker)) {
    case "gone": {
      const silent = `No answer for ${seconds(worker.quiet_s * 1000)}.`;
      if (!view.several) return "The device of this process hangs. Whoever watches over it should start it again.";
      const rest =
        streams.length === 0
          ? "Its streams were given to others."
          : others.length > 0
            ? `${its(streams.length)} being given to others.`
            : `${its(streams.length)} waiting: no other worker has room.`;
      return `${silent} ${rest} If it answers again, it starts without streams.`;
    }
    case "draining":
      return others.length > 0
        ? `${its(streams.length)} being moved to others, one after the other; each pauses for a moment. A stream that a call has made stays until the call ends.`
        : `${its(streams.length)} staying: no other worker has room.`;
    case "drained":
      return "It has no streams and gets none: it can be stopped or upgraded. Take it back when it runs again.";
    case "full":
      return view.several
        ? "It takes no further stream; those that it has go on, and the next ones go to others."
        : "It takes no further stream; those that it has go on.";
    case "serving":
      return "";
  }
}

function takes(worker: WorkerEntry): boolean {
  return worker.alive && !worker.draining && !worker.full;
}

function its(streams: number): string {
  return streams === 1 ? "Its stream is" : `Its ${streams} streams are`;
}

/** What draining a worker means, for whoever is about to. */
export function drainWords(worker: WorkerEntry, view: WorkersView): string {
  const { streams } = worker;
  if (streams.length === 0) return "It gets no streams from then on.";
  const others = view.workers.some((one) => one.name !== worker.name && takes(one));
  const what = streams.length === 1 ? "Its stream moves" : `Its ${streams.length} streams move`;
  return others
    ? `${what} to others; each pauses for a moment.`
    : "No other worker has room: its streams stay until one has.";
}

/** Machines in the order in which they are told, each with its workers. */
export function machinesOf(view: WorkersView): Machine[] {
  const found = new Map<string, WorkerEntry[]>();
  for (const worker of view.workers) found.set(worker.node, [...(found.get(worker.node) ?? []), worker]);
  return [...found].map(([node, workers]) => ({ node, workers }));
}

/** All of it in one line. */
export function countWords(view: WorkersView): string {
  const streams = view.workers.reduce((sum, worker) => sum + worker.streams.length, 0) + view.waiting.length;
  return [
    many(machinesOf(view).length, "machine"),
    many(view.workers.length, "worker"),
    many(streams, "stream"),
  ].join(", ");
}

export function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** What differs between living workers that should be the same, a sentence each. */
export function differences(view: WorkersView): string[] {
  const living = view.workers.filter(({ alive }) => alive);
  const versions = apart(living, ({ version }) => version);
  const models = apart(living, (worker) => worker.models.map(modelWords).join(", "));
  const said: string[] = [];
  if (versions) {
    said.push(`${versions}. While an upgrade rolls on that is meant; drain those that are left behind and start them anew.`);
  }
  const outdated = living.filter((worker) => worker.outdated).map(({ name }) => name);
  if (outdated.length > 0) {
    const [verb, them] = outdated.length === 1 ? ["runs", "it"] : ["run", "them"];
    said.push(
      `${outdated.join(", ")} ${verb} with other settings than this gateway, or another version: \`styleflow cluster upgrade\` starts ${them} anew.`,
    );
  }
  if (models) said.push(`${models}. Scores of different weights do not compare.`);
  return said;
}

/** Who differs from most in one respect; empty when nobody does. */
function apart(workers: readonly WorkerEntry[], key: (worker: WorkerEntry) => string): string {
  const groups = new Map<string, string[]>();
  for (const worker of workers) groups.set(key(worker), [...(groups.get(key(worker)) ?? []), worker.name]);
  if (groups.size < 2) return "";
  const [most, ...others] = [...groups].sort((a, b) => b[1].length - a[1].length);
  const odd = others.map(([what, names]) => `${names.join(" and ")} ${names.length === 1 ? "runs" : "run"} ${what}`);
  return `${odd.join("; ")}; ${most?.[1].length === 1 ? most[1][0] : "most"} ${most?.[1].length === 1 ? "runs" : "run"} ${most?.[0]}`;
}

/** A model by its name, version and the beginning of its weights' digest. */
export function modelWords({ name, version, sha256 }: WorkerEntry["models"][number]): string {
  return `${name} ${version} (${sha256.slice(0, 8)})`;
}

/** Labels as they are written in a stream's placement. */
export function labelWords({ labels }: WorkerEntry): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}: ${value}`)
    .join(", ");
}
