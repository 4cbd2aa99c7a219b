// Above the wall: how many streams are in which state, and which of them are shown.

import type { ComponentChildren } from "preact";
import type { App } from "./app";
import type { Condition } from "./attention";
import { CheckedLine } from "./canaries/line";
import { FullScreen } from "./full-screen";
import { ConditionIcon } from "./icons";
import { SmallWindowButton } from "./small/button";
import { SoundSwitch } from "./sound_switch";
import {
  EVERYTHING,
  type Filterable,
  isIn,
  narrows,
  STATE_WORDS,
  STATES,
  tally,
  toggled,
  type WallFilter,
} from "./wall-filter";

const GROUPS: { of: Condition[]; one: string; many: string }[] = [
  { of: ["suspect"], one: "suspect", many: "suspect" },
  { of: ["failed", "lost", "connecting"], one: "not connected", many: "not connected" },
  { of: ["hindered", "untrained", "warming"], one: "none yet", many: "none yet" },
  { of: ["undecided"], one: "undecided", many: "undecided" },
  { of: ["clear"], one: "clear", many: "clear" },
  { of: ["demo-suspect", "demo-clear"], one: "demo", many: "demos" },
  { of: ["empty", "ended"], one: "nobody there", many: "nobody there" },
];

interface Props {
  app: App;
  tiles: readonly (Filterable & { id: string })[];
  /** The ids that the filter lets through. */
  shown: ReadonlySet<string>;
  filter: WallFilter;
  onFilter: (to: WallFilter) => void;
  /** Whether tiles would stand elsewhere if nobody pointed at them. */
  held: boolean;
}

export function WallBar({ app, tiles, shown, filter, onFilter, held }: Props) {
  const hidden = tiles.filter((tile) => !shown.has(tile.id));
  const alarming = hidden.filter((tile) => tile.condition === "suspect").length;
  return (
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
      <p class={alarming > 0 ? "hidden alarming" : "hidden"} role="status">
        {narrows(filter) && hidden.length > 0 && `${hidden.length} not shown`}
        {alarming > 0 && `, ${alarming} of them suspect`}
      </p>
      <p class="held" aria-live="polite">
        {held ? "Order held while you point here" : ""}
      </p>
      <CheckedLine app={app} />
      <Choices tiles={tiles} filter={filter} onFilter={onFilter} />
      <div class="glance-tools">
        <SoundSwitch app={app} />
        <SmallWindowButton app={app} subject={null} title="What needs eyes" />
        <FullScreen />
      </div>
    </div>
  );
}

/** Which streams are shown: by state, by tag, in sections. */
function Choices({ tiles, filter, onFilter }: Pick<Props, "tiles" | "filter" | "onFilter">) {
  const tags = tally(tiles);
  // A tag in the address that no stream has can still be taken out.
  const strange = filter.tags.filter((tag) => !tags.some(([known]) => known === tag));
  return (
    <div class="choices" role="group" aria-label="Which streams are shown">
      <Choice on={!narrows(filter)} hint="0" onPress={() => onFilter({ ...EVERYTHING, grouped: filter.grouped })}>
        All
      </Choice>
      {STATES.map((state, n) => (
        <Choice
          key={state}
          on={filter.state === state}
          hint={String(n + 1)}
          onPress={() => onFilter({ ...filter, state: filter.state === state ? "" : state })}
        >
          {STATE_WORDS[state]} <span>{tiles.filter((tile) => isIn(state, tile)).length}</span>
        </Choice>
      ))}
      {[...tags, ...strange.map((tag) => [tag, 0] as const)].map(([tag, count]) => (
        <Choice key={`#${tag}`} on={filter.tags.includes(tag)} tag onPress={() => onFilter(toggled(filter, tag))}>
          {tag} <span>{count}</span>
        </Choice>
      ))}
      {(tags.length > 0 || filter.grouped) && (
        <Choice on={filter.grouped} hint="g" onPress={() => onFilter({ ...filter, grouped: !filter.grouped })}>
          Group by tag
        </Choice>
      )}
    </div>
  );
}

interface ChoiceProps {
  on: boolean;
  /** The key that does the same. */
  hint?: string;
  tag?: boolean;
  onPress: () => void;
  children: ComponentChildren;
}

function Choice({ on, hint, tag = false, onPress, children }: ChoiceProps) {
  return (
    <button
      type="button"
      class={tag ? "choice tag-choice" : "choice"}
      aria-pressed={on}
      aria-keyshortcuts={hint}
      title={hint ? `Key ${hint}` : undefined}
      onClick={onPress}
    >
      {children}
    </button>
  );
}
