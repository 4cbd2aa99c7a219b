// HTTP: one door for the token and for problems.

import type {
  EvidenceKey,
  IncidentChange,
  IncidentPage,
  IncidentView,
  SnoozeBody,
  SnoozeData,
} from "./incidents/wire";
import type {
  AlertsView,
  BaselineBody,
  BaselineView,
  CallerView,
  CanariesView,
  ChallengeData,
  ChallengeList,
  ExplanationView,
  HistoryView,
  IncidentData,
  ModelFigures,
  ModelList,
  OverlayList,
  OverlayView,
  ProblemBody,
  RuleBody,
  StoreView,
  StreamBody,
  StreamChange,
  Task,
  ThresholdsChange,
  ThresholdsView,
  TrialView,
  WorkerEntry,
  WorkersView,
} from "./protocol";
import { ROOT } from "./root";

/** What went wrong, in the server's words or, where it does not answer, in the page's own. */
export type Problem = Omit<ProblemBody, "type" | "retry">;

/** A request that was not granted, with the server's own words. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

const UNREACHABLE: Problem = {
  title: "The analyzer does not answer",
  detail: "the connection was refused or interrupted",
  hint: "Check that it runs; this page connects again by itself",
  status: 0,
  code: "unreachable",
  faults: [],
};

export class Api {
  constructor(
    private readonly token: () => string | null,
    private readonly fetcher: typeof fetch = (...call) => fetch(...call),
    private readonly root: URL = ROOT,
  ) {}

  /** Ask, with the token, for what is below the root or, as a Location names it, on this host.
   * Raises `Refused` unless the answer is a success or 304. */
  async ask(path: string, options: RequestInit = {}): Promise<Response> {
    const headers = new Headers(options.headers);
    const token = this.token();
    if (token) headers.set("authorization", `Bearer ${token}`);
    let answer: Response;
    try {
      answer = await this.fetcher(new URL(path, this.root), { ...options, headers, cache: "no-store" });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Refused(UNREACHABLE);
    }
    if (answer.ok || answer.status === 304) return answer;
    throw new Refused(await problemOf(answer));
  }

  async addStream(stream: StreamBody): Promise<void> {
    await this.ask("api/v1/streams", json("POST", stream));
  }

  async changeStream(id: string, change: StreamChange): Promise<void> {
    await this.ask(`api/v1/streams/${encodeURIComponent(id)}`, json("PATCH", change));
  }

  async removeStream(id: string): Promise<void> {
    await this.ask(`api/v1/streams/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  async history(id: string, seconds: number, signal?: AbortSignal): Promise<HistoryView> {
    return this.read(`api/v1/streams/${encodeURIComponent(id)}/history?seconds=${seconds}`, signal);
  }

  /** What is stored of a stretch, in seconds since 1970; a resolution of 0 is every score. */
  async stored(
    id: string,
    from: number,
    to: number,
    resolution: number,
    signal?: AbortSignal,
  ): Promise<HistoryView> {
    const wanted = `from=${from}&to=${to}&resolution=${resolution === 0 ? "full" : resolution}`;
    return this.read(`api/v1/streams/${encodeURIComponent(id)}/history?${wanted}`, signal);
  }

  /** Who the token belongs to, and what it may do. */
  async caller(): Promise<CallerView> {
    return this.read("api/v1/caller");
  }

  /** The models that score streams, and what was measured of each. */
  async models(): Promise<ModelFigures[]> {
    return (await this.read<ModelList>("api/v1/models")).models;
  }

  /** One page of incidents, newest first. */
  async incidents(
    query: URLSearchParams,
    limit: number,
    cursor: string | null = null,
    signal?: AbortSignal,
  ): Promise<IncidentPage> {
    const params = new URLSearchParams(query);
    params.set("limit", String(limit));
    if (cursor !== null) params.set("cursor", cursor);
    return this.read(`api/v1/incidents?${params}`, signal);
  }

  async incident(id: string): Promise<IncidentView> {
    return this.read(`api/v1/incidents/${encodeURIComponent(id)}`);
  }

  async changeIncident(id: string, change: IncidentChange): Promise<IncidentData> {
    const answer = await this.ask(`api/v1/incidents/${encodeURIComponent(id)}`, json("PATCH", change));
    return (await answer.json()) as IncidentData;
  }

  async snoozes(): Promise<SnoozeData[]> {
    return (await this.read<{ snoozes: SnoozeData[] }>("api/v1/snoozes")).snoozes;
  }

  async snooze(stream: string, body: SnoozeBody): Promise<void> {
    await this.ask(`api/v1/streams/${encodeURIComponent(stream)}/snooze`, json("PUT", body));
  }

  async endSnooze(stream: string): Promise<void> {
    await this.ask(`api/v1/streams/${encodeURIComponent(stream)}/snooze`, { method: "DELETE" });
  }

  /** A stream's known-real video, and what one could be made of now. */
  async baseline(id: string): Promise<BaselineView> {
    return this.read(`api/v1/streams/${encodeURIComponent(id)}/baseline`);
  }

  async addBaseline(id: string, body: BaselineBody): Promise<void> {
    await this.ask(`api/v1/streams/${encodeURIComponent(id)}/baseline`, json("POST", body));
  }

  async removeBaseline(id: string): Promise<void> {
    await this.ask(`api/v1/streams/${encodeURIComponent(id)}/baseline`, { method: "DELETE" });
  }

  /** Rules and channels of alerts, and how they fare. */
  async alerts(): Promise<AlertsView> {
    return this.read("api/v1/alerts");
  }

  async putRule(name: string, rule: RuleBody): Promise<void> {
    await this.ask(rulePath(name), json("PUT", rule));
  }

  async removeRule(name: string): Promise<void> {
    await this.ask(rulePath(name), { method: "DELETE" });
  }

  /** Send a test message through every channel of a rule, and say what came back. */
  async testRule(name: string): Promise<TrialView> {
    const answer = await this.ask(`${rulePath(name)}/test`, { method: "POST" });
    return (await answer.json()) as TrialView;
  }

  /** What stood out to the detector in a frame of an incident. */
  async explanation(id: string): Promise<ExplanationView> {
    return this.read(`api/v1/incidents/${encodeURIComponent(id)}/explanation`);
  }

  /** How the store is doing; what it holds is not counted. */
  async store(): Promise<StoreView> {
    return this.read("api/v1/store?count=false");
  }

  /** How the detector fares with known clips. */
  async canaries(): Promise<CanariesView> {
    return this.read("api/v1/canaries");
  }

  /** Have what is expected of known clips learned anew. */
  async learnCanaries(): Promise<CanariesView> {
    const answer = await this.ask("api/v1/canaries/learn", { method: "POST" });
    return (await answer.json()) as CanariesView;
  }

  /** The processes that analyze streams. */
  async workers(): Promise<WorkersView> {
    return this.read("api/v1/workers");
  }

  /** Have a worker's streams moved away, and give it no more. */
  async drain(worker: string): Promise<WorkerEntry> {
    return (await (await this.ask(drainPath(worker), { method: "PUT" })).json()) as WorkerEntry;
  }

  /** Give a drained worker streams again. */
  async undrain(worker: string): Promise<WorkerEntry> {
    return (await (await this.ask(drainPath(worker), { method: "DELETE" })).json()) as WorkerEntry;
  }

  /** The key that evidence is signed with. */
  async evidenceKey(): Promise<EvidenceKey> {
    return this.read("api/v1/evidence/key");
  }

  /** Have the person in a stream asked for something. */
  async askChallenge(id: string, task: Task): Promise<ChallengeData> {
    const path = `api/v1/streams/${encodeURIComponent(id)}/challenges`;
    return (await (await this.ask(path, json("POST", { task }))).json()) as ChallengeData;
  }

  /** What the person in a stream was asked, newest first; in milliseconds since 1970, or all. */
  async challenges(id: string, from?: number, to?: number): Promise<ChallengeList> {
    const wanted = new URLSearchParams();
    if (from !== undefined) wanted.set("from", String(from / 1000));
    if (to !== undefined) wanted.set("to", String(to / 1000));
    return this.read(`api/v1/streams/${encodeURIComponent(id)}/challenges?${wanted}`);
  }

  /** Where a browser may load a file by itself; null when that needs the token. */
  open(path: string): string | null {
    return this.token() ? null : new URL(path, this.root).href;
  }

  private async read<T>(path: string, signal?: AbortSignal): Promise<T> {
    const answer = await this.ask(path, signal ? { signal } : {});
    return (await answer.json()) as T;
  }

  /** Which detectors can explain their scores, the first one first. */
  async overlays(id: string): Promise<OverlayView[]> {
    const answer = await this.ask(`api/v1/streams/${encodeURIComponent(id)}/overlays`);
    return ((await answer.json()) as OverlayList).overlays;
  }

  async thresholds(id: string): Promise<ThresholdsView> {
    const answer = await this.ask(`api/v1/streams/${encodeURIComponent(id)}/thresholds`);
    return (await answer.json()) as ThresholdsView;
  }

  async setThresholds(id: string, change: ThresholdsChange): Promise<ThresholdsView> {
    const path = `api/v1/streams/${encodeURIComponent(id)}/thresholds`;
    const answer = await this.ask(path, json("PATCH", change));
    return (await answer.json()) as ThresholdsView;
  }
}

function rulePath(name: string): string {
  return `api/v1/alerts/rules/${encodeURIComponent(name)}`;
}

function drainPath(worker: string): string {
  return `api/v1/workers/${encodeURIComponent(worker)}/drain`;
}

function json(method: string, body: unknown): RequestInit {
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

export async function problemOf(answer: Response): Promise<Problem> {
  const fallback: Problem = {
    title: "The analyzer refused",
    detail: `it answered ${answer.status}`,
    hint: "",
    status: answer.status,
    code: "http",
    faults: [],
  };
  try {
    return { ...fallback, ...((await answer.json()) as Partial<Problem>) };
  } catch {
    return fallback;
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Refused) return error.problem;
  const detail = error instanceof Error ? error.message : String(error);
  return { ...UNREACHABLE, title: "Something went wrong in this page", detail, hint: "", code: "page" };
}
