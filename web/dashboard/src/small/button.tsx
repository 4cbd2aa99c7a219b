// The button that opens and closes the small window.

import { render } from "preact";
import type { App } from "../app";
import { WindowIcon } from "../icons";
import { Glance, type Subject } from "./glance";
import "./glance.css";

interface Props {
  app: App;
  subject: Subject;
  /** What is shown, for the window's title. */
  title: string;
}

export function SmallWindowButton({ app, subject, title }: Props) {
  const { small } = app;
  const open = small.window !== null;
  function show() {
    void small.open(`${title} · StyleFlow Live`, (body, at) => {
      render(<Glance app={app} subject={subject} at={at} />, body);
      return () => render(null, body);
    });
  }
  return (
    <div class="small-window-open">
      <button
        type="button"
        aria-pressed={open}
        title="A small window that stays on top: one glance while you work elsewhere"
        onClick={() => (open ? small.close() : show())}
      >
        <WindowIcon /> {open ? "Close small window" : "Small window"}
      </button>
      {small.blocked && (
        <p class="blocked" role="alert">
          The browser blocked the small window. Allow pop-ups for this page (at the right of the
          address bar, or in the browser's settings for {location.host}) and press the button again.
        </p>
      )}
    </div>
  );
}
