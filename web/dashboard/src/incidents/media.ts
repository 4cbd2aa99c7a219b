// Pictures, clips and files of an incident. Where the server wants a token, which no picture element can
// send, they are fetched with it first.

import { useEffect, useState } from "preact/hooks";
import type { App } from "../app";
import type { IncidentData } from "../protocol";

export type Part = "picture" | "clip" | "report" | "evidence.zip" | "explanation.jpg";

export function pathOf(id: string, part: Part): string {
  return `api/v1/incidents/${encodeURIComponent(id)}/${part}`;
}

/** Whether there is a picture or clip of an incident by now. */
export function isKept({ evidence }: IncidentData): boolean {
  return evidence.state === "kept";
}

/** Return an address that an element can load; null while there is none, or nothing is wanted. */
export function useMedia(app: App, path: string | null): string | null {
  const [url, set] = useState<string | null>(null);
  useEffect(() => {
    set(null);
    if (path === null) return;
    const open = app.api.open(path);
    if (open !== null) {
      set(open);
      return;
    }
    let made: string | null = null;
    const controller = new AbortController();
    app.api
      .ask(path, { signal: controller.signal })
      .then((answer) => answer.blob())
      .then((blob) => {
        if (controller.signal.aborted) return;
        made = URL.createObjectURL(blob);
        set(made);
      })
      .catch(() => {}); // no picture is shown instead
    return () => {
      controller.abort();
      if (made !== null) URL.revokeObjectURL(made);
    };
  }, [app, path]);
  return url;
}

/** Have the browser save a file. Raises `Refused`. */
export async function save(app: App, path: string, name: string): Promise<void> {
  const open = app.api.open(path);
  const url = open ?? URL.createObjectURL(await (await app.api.ask(path)).blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  if (open === null) setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
