// A bar over every view while the detector fails with known clips; it goes away by itself.

import { useEffect } from "preact/hooks";
import type { App } from "../app";
import { canaryTrouble } from "./words";
import "../trouble-bar.css";

const EVERY_MS = 10_000;
const SHOWN_MS = 2_000;
/** What somebody came for is asked for first. */
const FIRST_MS = 2_000;

export function CanaryBar({ app }: { app: App }) {
  useLooking(app);
  const trouble = canaryTrouble(app.canaries.view);
  if (trouble === null) return null;
  return (
    <section class="trouble-bar" aria-label="Detector">
      <p role="alert">
        <strong>{trouble.what}.</strong>
      </p>
      <ul>
        {trouble.found.map(({ text, hint }) => (
          <li key={text}>
            {text}. <span>{hint}.</span>
          </li>
        ))}
      </ul>
      {app.mayControl && (
        <p class="meant">
          Was that meant, such as an update?{" "}
          <button type="button" class="choice" onClick={() => void app.canaries.learn()}>
            Learn anew
          </button>
        </p>
      )}
    </section>
  );
}

function useLooking(app: App): void {
  const live = app.live.link.phase === "live";
  const every = app.canaries.shown ? SHOWN_MS : EVERY_MS;
  useEffect(() => {
    if (!live) return;
    const look = () => {
      if (!document.hidden && (first !== null || !app.canaries.off)) void app.canaries.look();
    };
    // Once after every connection: it may be another analyzer by then.
    let first: ReturnType<typeof setTimeout> | null = setTimeout(() => {
      look();
      first = null;
    }, FIRST_MS);
    const timer = setInterval(look, every);
    document.addEventListener("visibilitychange", look);
    return () => {
      if (first !== null) clearTimeout(first);
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [app, live, every]);
}
