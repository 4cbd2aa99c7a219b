// All streams at a glance, what needs eyes first.

import { Fragment } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type App, useApp, useNow } from "./app";
import { condition, Order } from "./attention";
import { Canaries } from "./canaries/line";
import { typing } from "./full-screen";
import { type Layout, layout, pictureWidth } from "./layout";
import { frameAge, shared } from "./streams";
import { Tile } from "./tile";
import { Starters } from "./start";
import { useTitle } from "./title";
import { WallBar } from "./wall-bar";
import { EVERYTHING, pressed, sections, wanted, type WallFilter } from "./wall-filter";
import "./wall.css";

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
    connection: stream.status?.state ?? null,
    tags: stream.tags,
    silentMs: frameAge(stream, now),
  }));
  const known = new Map(tiles.map((tile) => [tile.id, tile]));
  const filter = filterOf(app);
  const ids = order
    .arrange(tiles, clock, held || (stale && app.streams.known))
    .filter((id) => wanted(filter, known.get(id) ?? NOBODY));
  useTitle(app, "");
  const parts = filter.grouped ? sections(ids, (id) => known.get(id)?.tags ?? []) : [{ tag: "", ids }];
  const [grid, room] = useLayout(ids.length);
  const noticed = shared(app.streams.all.values());
  const narrow = (to: WallFilter) => app.go({ page: "wall", filter: to }, true);
  useKeys(app);

  if (!app.begun) return <p class="waiting">Connecting</p>;
  if (tiles.length === 0) return <Empty app={app} onAdd={onAdd} />;
  return (
    <>
      <h1 class="visually-hidden">Streams</h1>
      <WallBar
        app={app}
        tiles={tiles}
        shown={new Set(ids)}
        filter={filter}
        onFilter={narrow}
        held={held && order.waiting > 0}
      />
      <section
        ref={room}
        class={`wall ${grid.tier}${stale ? " stale" : ""}`}
        style={{ "--columns": grid.columns, "--tile": `${grid.tile}px` }}
        aria-label="Streams"
        {...holding}
      >
        {parts.map((part) => (
          <Fragment key={part.tag}>
            {filter.grouped && (
              <h2 class="group">
                {part.tag || "Without a tag"} <span class="quiet">{part.ids.length}</span>
              </h2>
            )}
            {part.ids.map((id) => {
              const stream = app.streams.all.get(id);
              if (!stream) return null;
              return (
                <Tile
                  key={id}
                  app={app}
                  stream={stream}
                  version={stream.version}
                  condition={known.get(id)?.condition ?? "connecting"}
                  now={now}
                  stale={stale}
                  pictureWidth={pictureWidth(grid.tile)}
                  noticed={noticed}
                  heading={filter.grouped ? 3 : 2}
                />
              );
            })}
          </Fragment>
        ))}
        {ids.length === 0 && <p class="waiting">No stream is so now</p>}
      </section>
      <Canaries app={app} />
    </>
  );
}

const NOBODY = { condition: "connecting", connection: null, tags: [] } as const;

/** Keys of the wall: 0 to 4 say which streams are shown, g groups them. */
function useKeys(app: App): void {
  useEffect(() => {
    const listen = (key: KeyboardEvent) => {
      // As the address is now: the second of two quick keys may come before the wall is drawn anew.
      const to = typing(key) ? null : pressed(key.key, filterOf(app));
      if (to) app.go({ page: "wall", filter: to }, true);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [app]);
}

function filterOf(app: App): WallFilter {
  return app.route.page === "wall" ? (app.route.filter ?? EVERYTHING) : EVERYTHING;
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
