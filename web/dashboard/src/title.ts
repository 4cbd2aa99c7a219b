// The title and the icon of the tab, which tell of verdicts and incidents while another tab is in front.

import { useEffect } from "preact/hooks";
import type { App } from "./app";
import { overall, suspects } from "./eyes";
import { ROOT } from "./root";

const PRODUCT = "StyleFlow Live";

/** What a title counts. */
export interface Count {
  /** Streams that are suspect now. */
  suspects: number;
  /** Alarms that wait for somebody. */
  waiting: number;
}

/** The title of a view: what is suspect now, else how many alarms wait; what it shows; whose page it is. */
export function titled({ suspects: now, waiting }: Count, view: string): string {
  const what = view === "" ? PRODUCT : `${view} · ${PRODUCT}`;
  if (now > 0) return `(${now}) suspect · ${what}`;
  return waiting > 0 ? `(${waiting}) ${what}` : what;
}

/** Keep the title of a view. */
export function useTitle(app: App, view: string): void {
  const now = suspects(app.streams.all.values()).length;
  const title = titled({ suspects: now, waiting: app.incidents.open.alarms }, view);
  useEffect(() => {
    document.title = title;
  }, [title]);
}

const ICONS = { suspect: "icon-alarm", clear: "icon-clear", none: "icon" } as const;

/** Have the icon of the tab say what the streams amount to; alarms that wait mark it too. */
export function useIcon(app: App): void {
  const verdict = app.incidents.open.alarms > 0 ? "suspect" : overall(app.streams.all.values());
  useEffect(() => {
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon) icon.href = new URL(`static/${ICONS[verdict]}.svg`, ROOT).href;
  }, [verdict]);
}
