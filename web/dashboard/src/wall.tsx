// All streams at a glance, what needs eyes first.

import { useState } from "preact/hooks";
import { type App, useApp, useNow } from "./app";
import { type Condition, condition, Order } from "./attention";
import { ConditionIcon } from "./icons";
import { Tile } from "./tile";
import { SmallWindowButton } from "./small/button";
import { SoundSwitch } from "./sound_switch";
import { Starters } from "./start";
import { useTitle } from "./title";
import "./wall.css";

const GROUPS: { of: Condition[]; one: string; many: string }[] = [
  { of: ["suspect"], one: "suspect", many: "suspect" },
  { of: ["failed", "lost", "connecting"], one: "not connected", many: "not connected" },
  { of: ["hindered", "untrained", "warming"], one: "none yet", many: "none yet" },
  { of: ["undecided"], one: "undecided", many: "undecided" },
  { of: ["clear"], one: "clear", many: "clear" },
  { of: ["demo-suspect", "demo-clear"], one: "demo", many: "demos" },
  { of: ["empty", "ended"], one: "nobody there", many: "nobody there" },
];

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
  }));
  const conditions = new Map(tiles.map((tile) => [tile.id, tile.condition]));
  const ids = order.arrange(tiles, clock, held || (stale && app.streams.known));
  useTitle(app, "");

  if (!app.begun) return <p class="waiting">Connecting</p>;
  if (tiles.length === 0) return <Empty app={app} onAdd={onAdd} />;
  const width = pictureWidth(tiles.length);
  return (
    <>
      <h1 class="visually-hidden">Streams</h1>
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
        <div class="glance-tools">
          <SoundSwitch app={app} />
          <SmallWindowButton app={app} subject={null} title="What needs eyes" />
        </div>
      </div>
      <section class={`wall ${density(tiles.length)}${stale ? " stale" : ""}`} aria-label="Streams" {...holding}>
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
              pictureWidth={width}
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

function density(count: number): string {
  if (count === 1) return "one";
  if (count <= 4) return "few";
  if (count <= 12) return "some";
  return count <= 24 ? "many" : "crowd";
}

function pictureWidth(count: number): number {
  if (count === 1) return 960;
  return count <= 12 ? 640 : 320;
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
