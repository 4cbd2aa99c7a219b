// The wall on the whole screen, without the page's header. The key `f` enters; Escape leaves.

import { useEffect, useState } from "preact/hooks";
import { FullScreenIcon } from "./icons";

export function FullScreen() {
  const [on, setOn] = useState(document.fullscreenElement !== null);
  useEffect(() => {
    const changed = () => setOn(document.fullscreenElement !== null);
    const pressed = (key: KeyboardEvent) => {
      if (key.key === "Escape" && document.fullscreenElement) void document.exitFullscreen();
      if (key.key === "f" && !typing(key)) toggle();
    };
    document.addEventListener("fullscreenchange", changed);
    addEventListener("keydown", pressed);
    return () => {
      document.removeEventListener("fullscreenchange", changed);
      removeEventListener("keydown", pressed);
    };
  }, []);
  if (!document.fullscreenEnabled) return null;
  return (
    <button
      type="button"
      class="full-screen"
      aria-pressed={on}
      title={on ? "Leave full screen (Escape)" : "Full screen (f)"}
      onClick={toggle}
    >
      <FullScreenIcon />
      <span class="visually-hidden">Full screen</span>
    </button>
  );
}

/** The whole document: what is announced above the wall stays, only the header goes. */
function toggle(): void {
  const done = document.fullscreenElement
    ? document.exitFullscreen()
    : document.documentElement.requestFullscreen();
  done.catch(() => {}); // the browser said no, and shows so
}

/** Whether a key belongs to somebody who writes, to a dialog, or to the browser. */
export function typing(key: KeyboardEvent): boolean {
  const at = key.target instanceof Element ? key.target : null;
  const writes = at?.closest("input, textarea, select, [contenteditable], dialog") != null;
  return writes || key.ctrlKey || key.metaKey || key.altKey || key.defaultPrevented;
}
