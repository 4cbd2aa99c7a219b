// All streams at a glance, what needs eyes first.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type App, useApp, useNow } from "./app";
import { type Condition, condition, Order } from "./attention";
import { FullScreen } from "./full-screen";
import { ConditionIcon } from "./icons";
import { type Layout, layout, pictureWidth } from "./layout";
import { frameAge, shared } from "./streams";
import { Tile } from "./tile";
import { Starters } from "./start";
import { useTitle } from "./title";
import "./wall.css";

const GROUPS: { of: Condition[]; one: string; many: string }[] = [
  { of: ["suspect"], one: "suspect", many: "suspect" },
  { of: ["failed", "lost", "connecting"], one: "not connected", many: "not connected" },
  { of: ["hindered", "untrained"], one: "no verdict", many: "no verdict" },
  { of: ["warming"], one: "gathering evidence", many: "gathering evidence" },
  { of: ["undecided"], one: "undecided", many: "undecided" },
  { of: ["clear"], one: "clear", many: "clear" },
  { of: ["demo-suspect", "demo-clear"], one: "demo", many: "demos" },
  { of: ["empty", "ended"], one: "nobody there", many: "nobody there" },
];

/** Pixels below the wall. */
const BELOW = 16;

export function Wall({ app, onAdd }: { app: App; onAdd: () => void }) {
  useApp(app);
  const clock = useNow(500);
  const [order] = useState(() => new Order());
  const { held, ...holding } = useHold();
  const now = clock + app.streams.skew;
  const stale = app.live.link.phase !== "live";
  const tiles = [...app.streams.all.values()].map((stream) => ({
    id: stream.id,
    name: stream.name,
    condition: condition(stream),
    silentMs: frameAge(stream, now),
  }));
  const conditions = new Map(tiles.map((tile) => [tile.id, tile.condition]));
  const ids = order.arrange(tiles, clock, held || (stale && app.streams.known));
  const suspects = tiles.filter((tile) => tile.condition === "suspect").length;
  useTitle(app, suspects > 0 ? `(${suspects}) suspect` : "", suspects > 0);

  const [grid, room] = useLayout(ids.length);
  const noticed = shared(app.streams.all.values());

  if (!app.begun) return <p class="waiting">Connecting</p>;
  if (tiles.length === 0) return <Empty app={app} onAdd={onAdd} />;
  return (
    <>
      <div class="summary">
        <ul aria-label="Summary">
          {GROUPS.map((group) => {
            const count = tiles.filter((tile) => group.of.includes(tile.condition)).length;
            const [icon] = group.of;
            if (count === 0 && icon !== "suspect") return null;
            return (
              <li key={icon} class={`count is-${icon}${count === 0 ? " none" : ""}`}>
                {icon && <ConditionIcon of={icon} />}
                <strong>{count}</strong> {count === 1 ? group.one : group.many}
              </li>
            );
          })}
        </ul>
        <p class="held" aria-live="polite">
          {held && order.waiting > 0 ? "Order held while you point here" : ""}
        </p>
        <FullScreen />
      </div>
      <section
        ref={room}
        class={`wall ${grid.tier}${stale ? " stale" : ""}`}
        style={{ "--columns": grid.columns, "--tile": `${grid.tile}px` }}
        aria-label="Streams"
        {...holding}
      >
        {ids.map((id) => {
          const stream = app.streams.all.get(id);
          if (!stream) return null;
          return (
            <Tile
              key={id}
              app={app}
              stream={stream}
              version={stream.version}
              condition={conditions.get(id) ?? "connecting"}
              now={now}
              stale={stale}
              pictureWidth={pictureWidth(grid.tile)}
              noticed={noticed}
            />
          );
        })}
      </section>
    </>
  );
}

function Empty({ app, onAdd }: { app: App; onAdd: () => void }) {
  return (
    <section class="empty">
      <h1>Nothing is being watched yet</h1>
      <p>
        Show it a face: your own camera, a call in another tab, or a camera on the network. The first
        score comes within seconds.
      </p>
      <Starters app={app} onAdd={onAdd} large />
      <p class="small">
        A score is evidence, not proof: 0 leans authentic, 1 leans synthesised. Video stays on the
        machine that analyzes it.
      </p>
    </section>
  );
}

/** The largest tiles that the window has room for, below what stands above them. */
function useLayout(count: number): [Layout, (at: HTMLElement | null) => void] {
  const [room, setRoom] = useState({ width: innerWidth - 40, height: innerHeight - 120 });
  const wall = useRef<HTMLElement | null>(null);
  const measure = useCallback(() => {
    const at = wall.current;
    if (!at) return;
    const width = at.clientWidth;
    const height = Math.floor(innerHeight - (at.getBoundingClientRect().top + scrollY) - BELOW);
    setRoom((known) => (known.width === width && known.height === height ? known : { width, height }));
  }, []);
  useLayoutEffect(measure, [measure, count]);
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(document.body); // what stands above it comes and goes
    addEventListener("resize", measure);
    return () => {
      observer.disconnect();
      removeEventListener("resize", measure);
    };
  }, [measure]);
  const hold = useCallback(
    (at: HTMLElement | null) => {
      wall.current = at;
      measure();
    },
    [measure],
  );
  return [layout(count, room.width, room.height), hold];
}

/** Whether somebody points at the wall or has one of its tiles in focus. */
function useHold() {
  const [pointed, setPointed] = useState(false);
  const [focused, setFocused] = useState(false);
  return {
    held: pointed || focused,
    onPointerEnter: (at: PointerEvent) => at.pointerType === "mouse" && setPointed(true),
    onPointerLeave: () => setPointed(false),
    onFocusIn: (at: FocusEvent) =>
      setFocused(at.target instanceof Element && at.target.matches(":focus-visible")),
    onFocusOut: () => setFocused(false),
  };
}
