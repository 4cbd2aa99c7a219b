import { describe, expect, test } from "vitest";
import { Live, type Socket } from "../src/live";
import type { ServerMessage } from "../src/protocol";

/** A server and a clock in the test's hands. */
class Rig {
  now = 0;
  token: string | null = null;
  taken: ServerMessage[] = [];
  sockets: (Socket & { sent: unknown[]; closed: boolean })[] = [];
  private timers: { at: number; call: () => void }[] = [];
  readonly live = new Live(
    {
      open: () => {
        const socket = {
          sent: [] as unknown[],
          closed: false,
          onopen: null,
          onmessage: null,
          onclose: null,
          send(text: string) {
            this.sent.push(JSON.parse(text));
          },
          close() {
            this.closed = true;
          },
        };
        this.sockets.push(socket);
        return socket;
      },
      now: () => this.now,
      after: (ms, call) => {
        const timer = { at: this.now + ms, call };
        this.timers.push(timer);
        return () => {
          this.timers = this.timers.filter((other) => other !== timer);
        };
      },
      random: () => 0.5,
    },
    () => this.token,
    (message) => this.taken.push(message),
    () => undefined,
  );

  get socket() {
    const last = this.sockets.at(-1);
    if (!last) throw new Error("no socket was opened");
    return last;
  }

  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = next.at;
      next.call();
    }
    this.now = end;
  }

  arrive(): void {
    this.socket.onopen?.();
    this.say({ type: "subscribed", stream: null, seq: null, data: { streams: [] } });
  }

  say(message: object): void {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }
}

const status = (seq: number) => ({ type: "status", stream: "lobby", epoch: 2, seq, data: {} });

describe("the connection", () => {
  test("greets with the token and subscribes to everything", () => {
    const rig = new Rig();
    rig.token = "secret";
    rig.live.start();
    rig.socket.onopen?.();
    expect(rig.socket.sent[0]).toMatchObject({ type: "hello", token: "secret" });
    expect(rig.socket.sent[1]).toMatchObject({ type: "subscribe", streams: ["*"], resume: {} });
    expect(rig.live.link.phase).toBe("connecting");
  });

  test("resumes every stream at the highest number it has seen", () => {
    const rig = new Rig();
    rig.live.start();
    rig.arrive();
    rig.say(status(7));
    rig.say(status(5)); // a state that was overtaken by an event
    rig.socket.onclose?.({ code: 1012, reason: "restarting" });
    rig.advance(400);
    rig.socket.onopen?.();
    expect(rig.socket.sent[1]).toMatchObject({ resume: { lobby: { epoch: 2, seq: 7 } } });
  });

  test("does not resume what is gone", () => {
    const rig = new Rig();
    rig.live.start();
    rig.arrive();
    rig.say(status(7));
    rig.live.forget("lobby");
    rig.socket.onclose?.({ code: 1006, reason: "" });
    rig.advance(400);
    rig.socket.onopen?.();
    expect(rig.socket.sent[1]).toMatchObject({ resume: {} });
  });

  test("waits longer after every failure, and says until when", () => {
    const rig = new Rig();
    rig.live.start();
    const waits = [];
    for (let n = 0; n < 8; n += 1) {
      rig.socket.onclose?.({ code: 1006, reason: "" });
      waits.push((rig.live.link.retryAt ?? 0) - rig.now);
      rig.advance(waits.at(-1) ?? 0);
    }
    expect(waits).toEqual([400, 800, 1600, 3200, 6400, 10000, 10000, 10000]);
    expect(rig.sockets).toHaveLength(9);
  });

  test("tells how long it was away, and starts patient again", () => {
    const rig = new Rig();
    rig.live.start();
    rig.arrive();
    rig.advance(1000);
    rig.socket.onclose?.({ code: 1012, reason: "restarting" });
    expect(rig.live.link).toMatchObject({ phase: "lost", lostAt: 1000, reason: "restarting" });
    rig.advance(400);
    rig.arrive();
    expect(rig.live.link).toMatchObject({ phase: "live", lostAt: null, backAfterMs: 400 });
    rig.socket.onclose?.({ code: 1006, reason: "" });
    expect(rig.live.link.retryAt).toBe(rig.now + 400);
  });

  test.each([1008, 4401])("asks for a token on %i instead of trying on", (code) => {
    const rig = new Rig();
    rig.live.start();
    rig.socket.onclose?.({ code, reason: "a token is needed" });
    rig.advance(60_000);
    expect(rig.live.link.phase).toBe("token");
    expect(rig.sockets).toHaveLength(1);
    rig.live.retry();
    expect(rig.sockets).toHaveLength(2);
  });

  test("tells a token that was refused from one that is missing", () => {
    const rig = new Rig();
    rig.live.start();
    rig.socket.onclose?.({ code: 4401, reason: "a token is needed" });
    expect(rig.live.link.refused).toBe(false);
    rig.token = "wrong";
    rig.live.retry();
    rig.socket.onclose?.({ code: 4401, reason: "this token is not known" });
    expect(rig.live.link).toMatchObject({ phase: "token", refused: true });
    rig.live.retry();
    rig.arrive();
    expect(rig.live.link).toMatchObject({ phase: "live", refused: false });
  });

  test("takes a silent server for a lost one", () => {
    const rig = new Rig();
    rig.live.start();
    rig.arrive();
    rig.say(status(7));
    rig.advance(11_000);
    expect(rig.live.link.phase).toBe("live");
    rig.advance(1_000);
    expect(rig.live.link).toMatchObject({ phase: "lost", reason: "no answer" });
    expect(rig.sockets[0]?.closed).toBe(true);
  });

  test("minds no silence where no stream could break it", () => {
    const rig = new Rig();
    rig.live.start();
    rig.arrive();
    rig.advance(600_000);
    expect(rig.live.link.phase).toBe("live");
  });

  test("hears nothing of a socket that it has given up", () => {
    const rig = new Rig();
    rig.live.start();
    const old = rig.socket;
    const late = old.onmessage;
    rig.live.start();
    expect(late).not.toBeNull();
    expect(old.onmessage).toBeNull();
    expect(old.onclose).toBeNull();
  });
});
