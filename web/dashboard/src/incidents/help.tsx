// The keys of the list, and whether they do anything: who speaks to the computer may not want them.

import { useState } from "preact/hooks";
import { HELP } from "./keys";

const KEY = "shortcuts";

export const shortcuts = {
  get: () => localStorage.getItem(KEY) !== "off",
  set: (on: boolean) => localStorage.setItem(KEY, on ? "on" : "off"),
};

const CHANGES = new Set(["a", "1", "2", "3"]);

export function Help({ mayControl }: { mayControl: boolean }) {
  const [on, setOn] = useState(shortcuts.get());
  return (
    <section class="panel keyboard" aria-label="Keyboard">
      <dl>
        {HELP.filter(({ keys }) => mayControl || !CHANGES.has(keys)).map(({ keys, does }) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={on}
          onChange={(at) => {
            shortcuts.set(at.currentTarget.checked);
            setOn(at.currentTarget.checked);
          }}
        />
        Use these keys
      </label>
    </section>
  );
}
