// The page's one mutable object: the connection, what it says, pictures, and this browser's own
// camera. Views read it and are told, at most once per animation frame, that something changed.

import { useEffect, useReducer, useState } from "preact/hooks";
import { Api } from "./api";
import { CanaryDesk } from "./canaries/desk";
import { IncidentDesk } from "./incidents/desk";
import { Notifier, realHerald } from "./incidents/notify";
import { suspects } from "./eyes";
import { Live, type Socket } from "./live";
import { MachineDesk } from "./machines/desk";
import { PastDesk } from "./past";
import { PictureDesk } from "./pictures";
import { realShop, SmallWindow } from "./small/window";
import { realSpeaker, Sound } from "./sound";
import { MINUTE_MS, Streams } from "./streams";
import { type Kind, Publisher, realBrowser } from "./whip";
import { ownName } from "./naming";
import { ROOT } from "./root";
import { address, parse, type Route } from "./route";
import { noticeWords } from "./words";

const TOKEN_KEY = `token ${ROOT.pathname}`; // the host may serve other things than this
const PAST_S = 600;
const WALL_PAST_S = MINUTE_MS / 1000;

export class App {
  readonly streams = new Streams();
  readonly api = new Api(() => this.token);
  /** The small window beside this page. Whoever looks at it goes on seeing while the page is hidden. */
  readonly small = new SmallWindow(realShop(), () => this.resized());
  readonly pictures = new PictureDesk(
    this.api,
    () => this.watched && this.live.link.phase === "live",
    () => performance.now(),
    (data) => createImageBitmap(data),
    (ms, call) => this.after(ms, call),
  );
  readonly sound = new Sound(realSpeaker(), () => this.notify());
  readonly incidents = new IncidentDesk(this.api, () => this.notify());
  readonly canaries = new CanaryDesk(this.api, () => this.notify());
  readonly machines = new MachineDesk(this.api, () => this.notify());
  readonly past = new PastDesk((...wanted) => this.api.stored(...wanted), () => this.notify());
  readonly notifier = new Notifier(
    realHerald(new URL("static/icon-alarm.svg", ROOT).href),
    noticeWords,
    (id) => this.go({ page: "incident", id }),
    () => this.notify(),
  );
  readonly live: Live;
  publisher: Publisher | null = null;
  route: Route = parse(location.pathname, location.search);

  /** Whether the streams were known once; from then on, what is shown stays while it is lost. */
  begun = false;

  /** The list of incidents as it was last looked at, to go back to. */
  listed: Route | null = null;

  /** Whether this token may change things; until that is known, the server is left to refuse. */
  mayControl = true;

  /** Whether this token may send video. */
  mayPublish = true;

  private token: string | null = sessionStorage.getItem(TOKEN_KEY);
  private listeners = new Set<() => void>();
  private cancelFrame: (() => void) | null = null;
  private seeding: Promise<void> = Promise.resolve();
  private asked = new Map<string, number>();
  private greeted = false;

  constructor() {
    this.live = new Live(
      {
        open: (protocol) => openSocket(protocol),
        now: () => Date.now(),
        after: (ms, call) => {
          const timer = setTimeout(call, ms);
          return () => clearTimeout(timer);
        },
        random: () => Math.random(),
      },
      () => this.token,
      (message) => {
        for (const id of this.streams.take(message, Date.now())) {
          this.live.forget(id);
          this.asked.delete(id);
        }
        this.begun ||= this.streams.known;
        if (message.type === "event" && message.data.kind === "incident_changed") {
          this.incidents.take(message.data);
          this.notifier.take(message.data);
        }
        if (message.type === "snapshot") this.wantPast(message.stream, WALL_PAST_S);
        this.notify();
      },
      () => {
        this.greet();
        this.notify();
      },
    );
    addEventListener("popstate", () => this.show(parse(location.pathname, location.search)));
    addEventListener("online", () => this.live.retry());
    addEventListener("pagehide", () => void this.publisher?.stop());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.live.retry();
    });
    this.live.start();
  }

  /** After every connection that was made: what may be done here, and what waits for somebody. */
  private greet(): void {
    const live = this.live.link.phase === "live";
    if (live && !this.greeted) {
      void this.incidents.recount();
      void this.machines.look();
      if (this.route.page === "incidents") void this.incidents.show(this.route.filter);
      this.api.caller().then(
        ({ scopes }) => {
          this.mayControl = scopes.includes("control");
          this.mayPublish = scopes.includes("publish");
          this.notify();
        },
        () => {},
      );
    }
    this.greeted = live;
  }

  /** What the server's clock shows now. */
  serverNow(): number {
    return Date.now() + this.streams.skew;
  }

  /** Fetch the past of a stream once, one stream at a time, for the wall and for its own page. */
  wantPast(id: string, seconds: number = PAST_S): void {
    if ((this.asked.get(id) ?? 0) >= seconds) return;
    this.asked.set(id, seconds);
    this.seeding = this.seeding.then(async () => {
      try {
        this.streams.seed(await this.api.history(id, seconds));
        this.notify();
      } catch {
        this.asked.delete(id); // the next snapshot asks again
      }
    });
  }

  setToken(token: string): void {
    this.token = token;
    sessionStorage.setItem(TOKEN_KEY, token);
    this.live.retry();
  }

  go(route: Route, replace = false): void {
    const path = address(route);
    if (path !== location.pathname + location.search) {
      history[replace ? "replaceState" : "pushState"](null, "", path);
    }
    this.show(route);
  }

  /** Begin sending this browser's camera or a tab. */
  publish(kind: Kind): void {
    void this.publisher?.stop();
    const suffix = Array.from(crypto.getRandomValues(new Uint8Array(2)), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    const id = `${kind === "camera" ? "my-camera" : "my-tab"}-${suffix}`;
    const browser = realBrowser((path, options) => this.api.ask(path, options));
    const name = ownName(kind, new Date());
    let named = false;
    const publisher = new Publisher(browser, kind, id, () => {
      // The stream is there once its call was answered.
      if (publisher.sending.phase === "live" && !named) {
        named = true;
        this.api.changeStream(id, { name }).catch(() => {}); // then it is called by its id
      }
      if (publisher === this.publisher && publisher.sending.phase === "ended") this.publisher = null;
      if (publisher.sending.phase === "connecting") {
        this.go({ page: "stream", id, from: null, to: null });
      }
      this.notify();
    });
    this.publisher = publisher;
    this.notify();
    void publisher.start();
  }

  dismissPublisher(): void {
    this.publisher = null;
    this.notify();
  }

  listen(call: () => void): () => void {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  }

  private show(route: Route): void {
    const moved = route.page !== this.route.page;
    if (route.page === "incidents") this.listed = route;
    if (route.page !== "stream" && route.page !== "incident") this.past.leave();
    this.route = route;
    this.notify();
    if (moved) scrollTo(0, 0);
  }

  /** Whether somebody may be looking: at this page, or at its small window. */
  private get watched(): boolean {
    return !document.hidden || this.small.window !== null;
  }

  /** Call later, by the clock of the window that is looked at: a hidden page's runs slow. */
  private after(ms: number, call: () => void): () => void {
    const at = this.small.window ?? window;
    const timer = at.setTimeout(call, ms);
    return () => at.clearTimeout(timer);
  }

  /** The small window came or went, and with it the timers that ran there. */
  private resized(): void {
    this.cancelFrame?.();
    this.cancelFrame = null;
    this.pictures.wake();
    this.notify();
  }

  private notify(): void {
    if (this.cancelFrame !== null) return;
    const tell = () => {
      this.cancelFrame = null;
      if (this.begun) this.sound.hear(suspects(this.streams.all.values()).map(({ id }) => id));
      for (const call of this.listeners) call();
    };
    const at = this.small.window ?? window;
    // A hidden page gets no animation frames, but its title should still tell.
    if (!this.watched) {
      this.cancelFrame = this.after(500, tell);
    } else {
      const frame = at.requestAnimationFrame(tell);
      this.cancelFrame = () => at.cancelAnimationFrame(frame);
    }
  }
}

function openSocket(protocol: string): Socket {
  const url = new URL("api/v1/scores", ROOT);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(url, protocol) as unknown as Socket;
}

/** Draw the calling component again whenever the app changes. */
export function useApp(app: App): void {
  const [, again] = useReducer<number, void>((count) => count + 1, 0);
  useEffect(() => app.listen(() => again()), [app]);
}

/** The time, told anew every so often, for ages. */
export function useNow(everyMs: number): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
