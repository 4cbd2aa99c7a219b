// Sends this browser's camera or screen to the analyzer over WHIP (RFC 9725), and sends it again
// when the connection breaks. What the browser offers is handed in, so that it can be played.

import { type Problem, problemOf, Refused } from "./api";
import type { PromptData, PromptMessage } from "./protocol";

export type Kind = "camera" | "tab";

export type SendingPhase =
  | "asking"
  | "connecting"
  | "live"
  | "waiting" // the analyzer has no room just now
  | "reconnecting"
  | "failed"
  | "ended";

export interface Sending {
  kind: Kind;
  id: string;
  phase: SendingPhase;
  problem: Problem | null;
}

export interface Browser {
  capture(kind: Kind): Promise<MediaStream>;
  connection(servers: RTCIceServer[]): RTCPeerConnection;
  ask(path: string, options: RequestInit): Promise<Response>;
  after(ms: number, call: () => void): () => void;
}

const GATHERING_MS = 1_500;
const CONNECTING_MS = 10_000;
const PATIENCE_MS = 4_000;
const GOODBYE_MS = 1_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;
const CODECS = ["video/vp8", "video/h264"];

/** One camera or tab on its way to the analyzer, from asking for it until it is stopped. */
export class Publisher {
  sending: Sending;
  media: MediaStream | null = null;
  /** What the analyzer asks the person to do now. */
  prompt: PromptData | null = null;
  private peer: RTCPeerConnection | null = null;
  private resource: string | null = null;
  private wait = FIRST_WAIT_MS;
  private cancel: (() => void) | null = null;
  private over = false;

  constructor(
    private readonly browser: Browser,
    kind: Kind,
    id: string,
    private readonly changed: () => void,
  ) {
    this.sending = { kind, id, phase: "asking", problem: null };
  }

  /** Ask the person for the camera or tab, then send it. */
  async start(): Promise<void> {
    this.set("asking", null);
    const servers = this.servers(); // asked for meanwhile
    try {
      this.media = await this.browser.capture(this.sending.kind);
    } catch (error) {
      this.over = true;
      this.set("failed", captureProblem(error, this.sending.kind));
      return;
    }
    for (const track of this.media.getTracks()) {
      track.addEventListener("ended", () => void this.stop());
    }
    await this.connect(servers);
  }

  /** Stop sending and say goodbye. */
  async stop(): Promise<void> {
    if (this.over && this.sending.phase !== "failed") return;
    this.over = true;
    for (const track of this.media?.getTracks() ?? []) track.stop();
    this.set("ended", null);
    await this.hangUp();
  }

  private async connect(servers = this.servers()): Promise<void> {
    if (this.over || !this.media) return;
    if (this.sending.phase === "asking") this.set("connecting", null);
    try {
      await this.negotiate(this.media, await servers);
    } catch (error) {
      await this.hangUp();
      this.failed(error);
    }
  }

  private async negotiate(media: MediaStream, servers: RTCIceServer[]): Promise<void> {
    const peer = this.browser.connection(servers);
    this.peer = peer;
    peer.addEventListener("connectionstatechange", () => this.watch(peer));
    for (const track of media.getVideoTracks()) {
      const sender = peer.addTransceiver(track, { direction: "sendonly", streams: [media] });
      preferDecodable(sender);
    }
    this.listen(peer);
    await peer.setLocalDescription(await peer.createOffer());
    await this.gathered(peer);
    const answer = await this.browser.ask(this.path, {
      method: "POST",
      headers: { "content-type": "application/sdp" },
      body: peer.localDescription?.sdp ?? "",
    });
    if (answer.status !== 201) throw new Refused(await problemOf(answer));
    const resource = answer.headers.get("location");
    if (this.peer !== peer) return this.end(resource); // stopped meanwhile
    this.resource = resource;
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    this.schedule(CONNECTING_MS, () => this.again());
  }

  /** Hear what the person is to be shown, on a channel of its own. */
  private listen(peer: RTCPeerConnection): void {
    const channel = peer.createDataChannel("prompts");
    channel.addEventListener("message", ({ data }: MessageEvent<string>) => {
      if (peer !== this.peer) return;
      const message = JSON.parse(data) as PromptMessage;
      if (message.type !== "prompt") return;
      this.prompt = message.data.phase === "done" ? null : message.data;
      this.changed();
    });
  }

  private get path(): string {
    return `whip/${encodeURIComponent(this.sending.id)}`;
  }

  /** Ask which STUN and TURN servers to use; without an answer there are none. */
  private async servers(): Promise<RTCIceServer[]> {
    try {
      const answer = await this.browser.ask(this.path, { method: "OPTIONS" });
      return iceServers(answer.headers.get("link") ?? "");
    } catch {
      return [];
    }
  }

  private gathered(peer: RTCPeerConnection): Promise<void> {
    if (peer.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.browser.after(GATHERING_MS, resolve);
      peer.addEventListener("icegatheringstatechange", () => {
        if (peer.iceGatheringState !== "complete") return;
        stop();
        resolve();
      });
    });
  }

  private watch(peer: RTCPeerConnection): void {
    if (peer !== this.peer || this.over) return;
    if (peer.connectionState === "connected") {
      this.cancel?.();
      this.wait = FIRST_WAIT_MS;
      this.set("live", null);
    } else if (peer.connectionState === "failed") {
      this.again();
    } else if (peer.connectionState === "disconnected") {
      this.schedule(PATIENCE_MS, () => this.again());
    }
  }

  private again(phase: "waiting" | "reconnecting" = "reconnecting"): void {
    if (this.over) return;
    this.set(phase, this.sending.problem);
    void this.hangUp().then(() => {
      this.schedule(this.wait, () => void this.connect());
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    });
  }

  private failed(error: unknown): void {
    if (this.over) return;
    const problem = error instanceof Refused ? error.problem : null;
    const hopeless = problem !== null && problem.status >= 400 && problem.status < 500;
    const taken = problem?.status === 409; // our own last session may not be over yet
    const before = this.sending.phase === "reconnecting" || this.sending.phase === "waiting";
    if (hopeless && !(taken && before) && problem.status !== 429) {
      this.over = true;
      for (const track of this.media?.getTracks() ?? []) track.stop();
      this.set("failed", notFound(problem));
      return;
    }
    this.sending = { ...this.sending, problem };
    this.again(problem !== null && problem.status > 0 ? "waiting" : "reconnecting");
  }

  private async hangUp(): Promise<void> {
    this.cancel?.();
    this.cancel = null;
    this.prompt = null;
    const { peer, resource } = this;
    this.peer = null;
    this.resource = null;
    // The goodbye comes first: an analyzer that hears of a closed connection ends the call by
    // itself, and then knows none that it could be asked to end.
    const close = () => peer?.close();
    const stop = this.browser.after(GOODBYE_MS, close);
    await this.end(resource);
    stop();
    close();
  }

  /** Tell the analyzer that a call is over. */
  private async end(resource: string | null): Promise<void> {
    if (resource === null) return;
    try {
      await this.browser.ask(resource, { method: "DELETE", keepalive: true });
    } catch {
      // It notices by itself that nothing comes any more.
    }
  }

  private schedule(ms: number, call: () => void): void {
    this.cancel?.();
    this.cancel = this.browser.after(ms, call);
  }

  private set(phase: SendingPhase, problem: Problem | null): void {
    this.sending = { ...this.sending, phase, problem };
    this.changed();
  }
}

/** Put the codecs first that the analyzer decodes; browsers without this feature offer them anyway. */
function preferDecodable(transceiver: RTCRtpTransceiver): void {
  const codecs = globalThis.RTCRtpReceiver?.getCapabilities?.("video")?.codecs ?? [];
  const wanted = codecs.filter((codec) => CODECS.includes(codec.mimeType.toLowerCase()));
  const helpers = codecs.filter((codec) => /\/rtx$/i.test(codec.mimeType));
  if (wanted.length > 0) transceiver.setCodecPreferences?.([...wanted, ...helpers]);
}

/** Read `Link` headers of the relation `ice-server`. */
export function iceServers(header: string): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  for (const link of header.split(/,(?=\s*<)/)) {
    const [, url, rest = ""] = /^\s*<([^>]*)>(.*)$/.exec(link) ?? [];
    if (!url || !/;\s*rel="?ice-server"?/i.test(rest)) continue;
    const value = (name: string) =>
      new RegExp(`;\\s*${name}="?([^";]*)"?`, "i").exec(rest)?.[1];
    const username = value("username");
    const credential = value("credential");
    servers.push({
      urls: url,
      ...(username === undefined ? {} : { username }),
      ...(credential === undefined ? {} : { credential }),
    });
  }
  return servers;
}

function notFound(problem: Problem): Problem {
  if (problem.status !== 404 && problem.status !== 405) return problem;
  return {
    ...problem,
    title: "This analyzer takes no calls",
    detail: "it has no WHIP endpoint",
    hint: "Update the analyzer, or enable WebRTC in its configuration",
  };
}

export function captureProblem(error: unknown, kind: Kind): Problem {
  const name = error instanceof DOMException || error instanceof Error ? error.name : "";
  const what = kind === "camera" ? "camera" : "tab";
  const say = (title: string, detail: string, hint: string): Problem => ({
    title,
    detail,
    hint,
    status: 0,
    code: name || "capture",
    faults: [],
  });
  switch (name) {
    case "NotAllowedError":
      return say(
        kind === "camera" ? "The camera was not allowed" : "No tab was chosen",
        `the browser did not give this page the ${what}`,
        kind === "camera"
          ? "Allow the camera in the address bar, then try again"
          : "Choose a tab, window or screen in the browser's dialog",
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return say("There is no camera", "the browser found none", "Connect one, then try again");
    case "NotReadableError":
      return say(
        `The ${what} cannot be read`,
        "another program may be using it",
        "Close the other program, then try again",
      );
    case "NotSupportedError":
      return say(
        `This browser cannot share a ${what}`,
        "browsers on phones do not offer it",
        "Use a browser on a computer",
      );
    case "InsecureContext":
      return say(
        `This page may not use the ${what}`,
        "browsers allow it on https:// and on localhost only",
        "Put the analyzer behind TLS, or open it as http://localhost",
      );
    default:
      return say(`The ${what} could not be opened`, String(error), "Try another browser");
  }
}

/** The browser itself. */
export function realBrowser(ask: (path: string, options: RequestInit) => Promise<Response>): Browser {
  return {
    async capture(kind) {
      const devices = navigator.mediaDevices as MediaDevices | undefined;
      if (devices && kind === "tab" && !("getDisplayMedia" in devices)) {
        throw new DOMException("", "NotSupportedError");
      }
      if (!devices) throw Object.assign(new Error(), { name: "InsecureContext" });
      const media =
        kind === "camera"
          ? await devices.getUserMedia({
              video: {
                width: { ideal: 1280 },
                height: { ideal: 720 },
                frameRate: { ideal: 25, max: 30 },
              },
            })
          : await devices.getDisplayMedia({ video: { frameRate: { ideal: 25, max: 30 } } });
      for (const track of media.getVideoTracks()) track.contentHint = "motion";
      return media;
    },
    connection: (iceServers) => new RTCPeerConnection({ iceServers }),
    ask,
    after(ms, call) {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
  };
}
