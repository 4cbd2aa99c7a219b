// The title and the icon of the tab, which tell of incidents while another tab is in front.

import { useEffect } from "preact/hooks";
import type { App } from "./app";
import { ROOT } from "./root";

const PRODUCT = "StyleFlow Live";

/** The title of a view: how many alarms wait for somebody, what it shows, and whose page it is. */
export function titled(waiting: number, view: string): string {
  const what = view === "" ? PRODUCT : `${view} · ${PRODUCT}`;
  return waiting > 0 ? `(${waiting}) ${what}` : what;
}

/** Keep the title; a view that counts something itself, `counted`, needs no number in front. */
export function useTitle(app: App, view: string, counted = false): void {
  const { alarms } = app.incidents.open;
  const title = titled(counted ? 0 : alarms, view);
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** Mark the icon of the tab while alarms wait for somebody. */
export function useIcon(app: App): void {
  const marked = app.incidents.open.alarms > 0;
  useEffect(() => {
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon) icon.href = new URL(`static/${marked ? "icon-alarm" : "icon"}.svg`, ROOT).href;
  }, [marked]);
}
