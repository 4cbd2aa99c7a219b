// A bar over every view while nothing can be stored; it goes away by itself.

import { useEffect, useState } from "preact/hooks";
import { type App, useNow } from "../app";
import type { StoreView } from "../protocol";
import { storageTrouble } from "./words";
import "../trouble-bar.css";

const EVERY_MS = 5_000;
/** What somebody came for is asked for first. */
const FIRST_MS = 1_500;

export function StorageBar({ app }: { app: App }) {
  const now = useNow(EVERY_MS) + app.streams.skew;
  const trouble = storageTrouble(useStore(app), now);
  if (trouble === null) return null;
  return (
    <section class="trouble-bar" aria-label="Storage">
      <p role="alert">
        <strong>{trouble.what}.</strong>
      </p>
      <p>{trouble.lost}</p>
      <p>{trouble.todo}</p>
    </section>
  );
}

/** How the store is doing, asked for again and again while somebody looks; null until it is known. */
function useStore(app: App): StoreView | null {
  const [store, setStore] = useState<StoreView | null>(null);
  const live = app.live.link.phase === "live";
  useEffect(() => {
    if (!live) return;
    let current = true;
    const look = () => {
      if (document.hidden) return;
      app.api.store().then(
        (found) => current && setStore(found),
        () => {}, // what was said last still holds; the next try tells more
      );
    };
    const first = setTimeout(look, FIRST_MS);
    const timer = setInterval(look, EVERY_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      current = false;
      clearTimeout(first);
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [app, live]);
  return store;
}
