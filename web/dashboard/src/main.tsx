// The frame around both views: header, notices, the connection, and this browser's own camera.

import "@fontsource-variable/inter/wght.css";
import "./base.css";
import { render } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { AlertsPage } from "./alerts/page";
import { CallerPrompt } from "./challenge/prompt";
import { App, useApp, useNow } from "./app";
import { CanaryBar } from "./canaries/bar";
import { MoonIcon } from "./icons";
import { ProblemText } from "./problem";
import { HelpPage } from "./help/page";
import { IncidentList } from "./incidents/list";
import { IncidentPage } from "./incidents/page";
import { Link } from "./link";
import { MachinesPage } from "./machines/page";
import { INCIDENTS } from "./route";
import { AddCamera, Starters } from "./start";
import { StorageBar } from "./storage/bar";
import { StreamPage } from "./stream/page";
import { useIcon } from "./title";
import { Wall } from "./wall";
import { clock, seconds, sentence } from "./words";
import "./dialog.css";
import "./main.css";

function Page({ app }: { app: App }) {
  useApp(app);
  useIcon(app);
  const [adding, setAdding] = useState(false);
  const { route } = app;
  const ofStreams = route.page === "wall" || route.page === "stream";
  const empty = app.streams.known && app.streams.all.size === 0 && route.page === "wall";
  return (
    <>
      <a class="skip" href="#main">
        {route.page === "wall" ? "Skip to the streams" : "Skip to the content"}
      </a>
      <header class="top">
        <Link app={app} to={{ page: "wall" }} class="brand">
          StyleFlow <b>Live</b>
        </Link>
        <Views app={app} />
        <LinkState app={app} />
        {!empty && <Starters app={app} onAdd={() => setAdding(true)} />}
        <Theme />
      </header>
      <Outage app={app} />
      <StorageBar app={app} />
      <CanaryBar app={app} />
      {app.begun && <Notices app={app} />}
      <OwnMedia app={app} />
      {/* Where nothing is shown before streams are known, it is made anew then, rather than pushed
          down by the notices. Other pages stay: somebody may be writing on them. */}
      <main id="main" key={ofStreams ? String(app.begun) : "kept"} tabIndex={-1}>
        <View app={app} onAdd={() => setAdding(true)} />
      </main>
      {app.publisher?.prompt && <CallerPrompt prompt={app.publisher.prompt} />}
      {adding && <AddCamera app={app} onClose={() => setAdding(false)} />}
      {app.live.link.phase === "token" && <TokenDialog app={app} />}
    </>
  );
}

function View({ app, onAdd }: { app: App; onAdd: () => void }) {
  const { route } = app;
  switch (route.page) {
    case "wall":
      return <Wall app={app} onAdd={onAdd} />;
    case "stream":
      return <StreamPage app={app} route={route} />;
    case "incidents":
      return <IncidentList app={app} filter={route.filter} />;
    case "incident":
      return <IncidentPage app={app} id={route.id} />;
    case "help":
      return <HelpPage app={app} />;
    case "alerts":
      return <AlertsPage app={app} />;
    case "machines":
      return <MachinesPage app={app} />;
  }
}

/** The two views, and how many incidents wait for somebody. */
function Views({ app }: { app: App }) {
  const { page } = app.route;
  const { count, alarms, more } = app.incidents.open;
  const waiting = `${count}${more ? "+" : ""}`;
  return (
    <nav class="views" aria-label="Views">
      <Link app={app} to={{ page: "wall" }} current={page === "wall"}>
        Streams
      </Link>
      <Link
        app={app}
        to={app.listed ?? INCIDENTS}
        current={page === "incidents"}
      >
        Incidents
        {count > 0 && (
          <>
            <b class={alarms > 0 ? "badge alarms" : "badge"}>{waiting}</b>
            <span class="visually-hidden">open and acknowledged by nobody</span>
          </>
        )}
      </Link>
      <Link app={app} to={{ page: "alerts" }} current={page === "alerts"}>
        Alerts
      </Link>
      {(app.machines.several || page === "machines") && (
        <Link app={app} to={{ page: "machines" }} current={page === "machines"}>
          Machines
        </Link>
      )}
      <Link app={app} to={{ page: "help" }} current={page === "help"}>
        Help
      </Link>
    </nav>
  );
}

/** The connection in one word, always in the same place. */
function LinkState({ app }: { app: App }) {
  const { phase, backAfterMs, refused } = app.live.link;
  const [back, setBack] = useState(false);
  useEffect(() => {
    if (backAfterMs === null || phase !== "live") return;
    setBack(true);
    const timer = setTimeout(() => setBack(false), 6_000);
    return () => clearTimeout(timer);
  }, [backAfterMs, phase]);
  const words = {
    connecting: "Connecting",
    live: back && backAfterMs !== null ? `Back after ${seconds(backAfterMs)}` : "Live",
    lost: "Reconnecting",
    token: refused ? "Token refused" : "Token needed",
  };
  return (
    <p class={`link is-${phase}`} role="status">
      <i aria-hidden="true" />
      {words[phase]}
    </p>
  );
}

/** While the connection is lost: since when, why, and what happens next. */
function Outage({ app }: { app: App }) {
  const now = useNow(500);
  const { phase, lostAt, retryAt, reason } = app.live.link;
  const long = lostAt !== null && now - lostAt > 700; // a blink is not worth a banner
  if (phase !== "lost" || lostAt === null || !long) return null;
  const next = retryAt === null ? "Trying now." : `Trying again in ${seconds(retryAt - now)}.`;
  return (
    <div class="outage" role="alert">
      <p>
        <strong>No connection to the analyzer</strong> since {clock(lostAt)}
        {reason && ` (${reason})`}. What you see is from then.
      </p>
      <p class="next" aria-hidden="true">
        {next}
      </p>
      <button type="button" onClick={() => app.live.retry()}>
        Try now
      </button>
    </div>
  );
}

/** What must stand beside the scores, once for all streams that share it. */
function Notices({ app }: { app: App }) {
  const said = new Map<string, string[]>();
  const { route } = app;
  const all = [...app.streams.all.values()];
  if (route.page !== "wall" && route.page !== "stream") return null; // an incident has its own
  const own = all.filter((stream) => route.page === "wall" || stream.id === route.id);
  const shown = own.length > 0 ? own : all; // a stream that is about to come: nothing jumps
  for (const stream of shown) {
    for (const part of stream.notice.split("; ").filter(Boolean)) {
      said.set(part, [...(said.get(part) ?? []), stream.name]);
    }
  }
  if (own.length === 0) {
    for (const [notice, names] of said) if (names.length < all.length) said.delete(notice);
  }
  if (said.size === 0) return null;
  return (
    <aside class="notices" aria-label="Notices">
      {[...said].map(([notice, names]) => (
        <p key={notice}>
          <strong>{sentence(notice)}</strong>
          {names.length < shown.length && (
            <span>
              {names.slice(0, 3).join(", ")}
              {names.length > 3 && ` and ${names.length - 3} more`}
            </span>
          )}
        </p>
      ))}
    </aside>
  );
}

/** This browser's camera or tab, for as long as it is being sent. */
function OwnMedia({ app }: { app: App }) {
  const { publisher } = app;
  const video = useRef<HTMLVideoElement>(null);
  const media = publisher?.media ?? null;
  useEffect(() => {
    if (video.current && video.current.srcObject !== media) video.current.srcObject = media;
  });
  if (!publisher) return null;
  const { kind, phase, problem, id } = publisher.sending;
  const name = app.streams.all.get(id)?.name ?? id;
  const what = kind === "camera" ? "Your camera" : "The tab";
  if (phase === "failed" && problem) {
    return (
      <div class="own failed" role="alert">
        <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
        <button type="button" onClick={() => app.publish(kind)}>
          Try again
        </button>
        <button type="button" onClick={() => app.dismissPublisher()}>
          Close
        </button>
      </div>
    );
  }
  const words: Record<string, string> = {
    asking: kind === "camera" ? "Allow the camera in the browser" : "Choose what to analyze",
    connecting: `${what} is being connected`,
    live: `${what} is being analyzed`,
    waiting: `${what} is not taken yet, trying again`,
    reconnecting: `Connection lost, ${what.toLowerCase()} is being connected again`,
    ended: "Ended",
  };
  return (
    <div class={`own is-${phase}`} role="status">
      <video ref={video} muted autoplay playsInline aria-label={`${what}, as sent`} />
      <p>
        <strong>{words[phase]}</strong>
        <span>{problem ? sentence(`${problem.title}: ${problem.detail}`) : name}</span>
      </p>
      <button type="button" class="danger" onClick={() => void publisher.stop()}>
        Stop
      </button>
    </div>
  );
}

function TokenDialog({ app }: { app: App }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useId();
  const [token, setToken] = useState("");
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={`${field}-title`}
      onCancel={(event) => event.preventDefault()}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim()) app.setToken(token.trim());
        }}
      >
        <h2 id={`${field}-title`}>
          {app.live.link.refused ? "This token was refused" : "This analyzer asks for a token"}
        </h2>
        <p class="remark">{sentence(app.live.link.reason)}</p>
        <label for={field}>Token</label>
        <input
          id={field}
          type="password"
          value={token}
          onInput={(at) => setToken(at.currentTarget.value)}
          autocomplete="current-password"
          required
        />
        <p class="remark">Whoever runs the analyzer has it: web.tokens in its configuration.</p>
        <footer>
          <button type="submit" class="primary">
            Connect
          </button>
        </footer>
      </form>
    </dialog>
  );
}

/** Dark, light, or what the system says: one button that goes round. */
function Theme() {
  const [theme, setTheme] = useState(localStorage.getItem("theme"));
  useEffect(() => {
    if (theme) {
      document.documentElement.dataset["theme"] = theme;
      localStorage.setItem("theme", theme);
    }
  }, [theme]);
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return (
    <button
      type="button"
      class="theme"
      aria-label={dark ? "Light colours" : "Dark colours"}
      title={dark ? "Light colours" : "Dark colours"}
      onClick={() => setTheme(dark ? "light" : "dark")}
    >
      <MoonIcon />
    </button>
  );
}

const root = document.getElementById("app");
if (root) render(<Page app={new App()} />, root);
