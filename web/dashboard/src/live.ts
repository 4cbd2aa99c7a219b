// The connection to the analyzer: hello, subscribe, and back again after every loss, resuming where
// it was. Knows nothing of what the messages mean; sockets, time and chance are handed in.

import {
  type ClientMessage,
  type ResumePoint,
  type ServerMessage,
  SUBPROTOCOL,
} from "./protocol";

export type Phase = "connecting" | "live" | "lost" | "token";

/** How the connection stands. Times are milliseconds of the clock that was handed in. */
export interface Link {
  phase: Phase;
  /** When it was lost, until it is live again. */
  lostAt: number | null;
  /** When the next attempt is made. */
  retryAt: number | null;
  /** In the server's words. */
  reason: string;
  /** Whether a token was given and the server did not take it. */
  refused: boolean;
  /** How long the last interruption took, once it is over. */
  backAfterMs: number | null;
}

export interface Socket {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((frame: { data: string }) => void) | null;
  onclose: ((closed: { code: number; reason: string }) => void) | null;
}

export interface World {
  open(protocol: string): Socket;
  now(): number;
  after(ms: number, call: () => void): () => void;
  random(): number;
}

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 10_000;
/** Every stream tells its status once a second; with none of them, silence means nothing. */
const SILENCE_MS = 12_000;
const TOKEN_CODES = new Set([1008, 4401]);

export class Live {
  link: Link = {
    phase: "connecting",
    lostAt: null,
    retryAt: null,
    reason: "",
    refused: false,
    backAfterMs: null,
  };

  private socket: Socket | null = null;
  private points = new Map<string, ResumePoint>();
  private wait = FIRST_WAIT_MS;
  private cancelRetry: (() => void) | null = null;
  private cancelWatch: (() => void) | null = null;

  constructor(
    private readonly world: World,
    private readonly token: () => string | null,
    private readonly take: (message: ServerMessage) => void,
    private readonly changed: () => void,
  ) {}

  start(): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.drop();
    this.set({ phase: this.link.lostAt === null ? "connecting" : "lost", retryAt: null });
    const socket = this.world.open(SUBPROTOCOL);
    this.socket = socket;
    socket.onopen = () => this.greet(socket);
    socket.onmessage = (frame) => this.receive(frame.data);
    socket.onclose = (closed) => this.lose(closed.code, closed.reason);
  }

  /** Try now rather than later; does nothing while connected. */
  retry(): void {
    if (this.link.phase === "lost" || this.link.phase === "token") this.start();
  }

  stop(): void {
    this.cancelRetry?.();
    this.drop();
  }

  /** A stream is gone: it is not to be resumed. */
  forget(stream: string): void {
    this.points.delete(stream);
  }

  private greet(socket: Socket): void {
    const token = this.token();
    const send = (message: ClientMessage) => socket.send(JSON.stringify(message));
    send({ type: "hello", client: "dashboard", ...(token ? { token } : {}) });
    send({
      type: "subscribe",
      id: "dashboard",
      streams: ["*"],
      max_hz: 4,
      resume: Object.fromEntries(this.points),
    });
    this.watch();
  }

  private receive(text: string): void {
    const message = JSON.parse(text) as ServerMessage;
    const { stream, epoch, seq } = message;
    if (message.type === "subscribed") this.arrive();
    if (stream !== null && epoch !== null && seq !== null) {
      const seen = this.points.get(stream)?.seq ?? 0;
      this.points.set(stream, { epoch, seq: Math.max(seen, seq) });
    }
    this.watch();
    this.take(message);
  }

  private arrive(): void {
    this.wait = FIRST_WAIT_MS;
    const { lostAt } = this.link;
    const backAfterMs = lostAt === null ? this.link.backAfterMs : this.world.now() - lostAt;
    this.set({ phase: "live", lostAt: null, retryAt: null, reason: "", refused: false, backAfterMs });
  }

  private watch(): void {
    this.cancelWatch?.();
    this.cancelWatch = null;
    if (this.points.size === 0 && this.link.phase === "live") return;
    this.cancelWatch = this.world.after(SILENCE_MS, () => this.lose(1006, "no answer"));
  }

  private lose(code: number, reason: string): void {
    this.drop();
    const lostAt = this.link.lostAt ?? this.world.now();
    if (TOKEN_CODES.has(code)) {
      const refused = this.token() !== null;
      this.set({ phase: "token", lostAt, retryAt: null, reason, refused });
      return;
    }
    const delay = this.wait * (0.75 + 0.5 * this.world.random());
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    this.set({ phase: "lost", lostAt, retryAt: this.world.now() + delay, reason });
    this.cancelRetry = this.world.after(delay, () => this.start());
  }

  private drop(): void {
    this.cancelWatch?.();
    this.cancelWatch = null;
    const { socket } = this;
    if (socket === null) return;
    this.socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private set(change: Partial<Link>): void {
    this.link = { ...this.link, ...change };
    this.changed();
  }
}
