// Fetches the pictures of the streams that can be seen right now, and of no others: each in turn,
// few at a time, as often as their number allows.

import { type Api, asProblem, type Problem } from "./api";
import type { PictureFace, PictureOverlay } from "./protocol";

export interface Picture {
  bitmap: ImageBitmap;
  faces: PictureFace[];
  /** The source's pixels, in which the boxes are. */
  width: number;
  height: number;
  captured: number;
  /** A detector's explanation of this very frame, where that was asked for. */
  overlay: PictureOverlay | null;
}

/** What somebody wants beyond the picture. */
export interface Wishes {
  /** The detector whose explanation is to come with the picture. */
  overlay?: string | null;
  /** Told why the server said no. */
  refused?: (problem: Problem) => void;
}

interface Watch {
  stream: string;
  width: number;
  show: (picture: Picture | null) => void;
  wishes: Wishes;
  tag: string | null;
  due: number;
  busy: boolean;
}

const IN_FLIGHT = 3;
const FASTEST_MS = 240;
const SLOWEST_MS = 2_500;
const PER_PICTURE_MS = 45;
const UNTIL_FIRST_MS = 300;
const AFTER_FAILURE_MS = 2_000;
const ASLEEP_MS = 500;

/** How often each of so many pictures is asked for. */
export function interval(visible: number): number {
  return Math.min(Math.max(visible * PER_PICTURE_MS, FASTEST_MS), SLOWEST_MS);
}

export class PictureDesk {
  private watches = new Set<Watch>();
  private flying = 0;
  private cancel: (() => void) | null = null;

  constructor(
    private readonly api: Api,
    /** Whether asking makes sense now: not in a tab in the background, not without a server. */
    private readonly awake: () => boolean = () => true,
    private readonly now: () => number = () => performance.now(),
    private readonly decode: (data: Blob) => Promise<ImageBitmap> = (data) => createImageBitmap(data),
    /** Calls later; returns what calls it off. */
    private readonly after: (ms: number, call: () => void) => () => void = later,
  ) {}

  /** Go on, after those timers were lost with their window. */
  wake(): void {
    this.turn();
  }

  /** Keep a picture coming until the returned function is called. */
  watch(
    stream: string,
    width: number,
    show: (picture: Picture | null) => void,
    wishes: Wishes = {},
  ): () => void {
    const watch: Watch = { stream, width, show, wishes, tag: null, due: this.now(), busy: false };
    this.watches.add(watch);
    this.turn();
    return () => {
      this.watches.delete(watch);
    };
  }

  private turn(): void {
    this.cancel?.();
    this.cancel = null;
    if (!this.awake()) {
      this.cancel = this.after(ASLEEP_MS, () => this.turn());
      return;
    }
    const idle = [...this.watches].filter((watch) => !watch.busy).sort((a, b) => a.due - b.due);
    for (const watch of idle) {
      if (this.flying >= IN_FLIGHT) return; // the next to land takes a turn
      const wait = watch.due - this.now();
      if (wait > 0) {
        this.cancel = this.after(wait, () => this.turn());
        return;
      }
      void this.fly(watch);
    }
  }

  private async fly(watch: Watch): Promise<void> {
    watch.busy = true;
    this.flying += 1;
    const asked = this.now();
    let wait = interval(this.watches.size);
    try {
      const found = await this.fetch(watch);
      if (found !== undefined && this.watches.has(watch)) watch.show(found);
      if (found === null) wait = Math.max(wait, UNTIL_FIRST_MS);
    } catch (error) {
      wait = AFTER_FAILURE_MS; // the connection's own banner says what is wrong
      const problem = asProblem(error);
      if (problem.status > 0 && this.watches.has(watch)) watch.wishes.refused?.(problem);
    } finally {
      this.flying -= 1;
      watch.busy = false;
      watch.due = asked + wait;
      this.turn();
    }
  }

  /** Return a newer picture, null when there is none at all, undefined when it is still the same. */
  private async fetch(watch: Watch): Promise<Picture | null | undefined> {
    const path = `api/v1/streams/${encodeURIComponent(watch.stream)}/picture.jpg`;
    const headers: Record<string, string> = watch.tag ? { "if-none-match": watch.tag } : {};
    const { overlay } = watch.wishes;
    const query = `width=${watch.width}${overlay ? `&overlay=${encodeURIComponent(overlay)}` : ""}`;
    const answer = await this.api.ask(`${path}?${query}`, { headers });
    if (answer.status === 304) return undefined;
    if (answer.status === 204) return null;
    const bitmap = await this.decode(await answer.blob());
    watch.tag = answer.headers.get("etag");
    const [width = 0, height = 0] = (answer.headers.get("picture-size") ?? "").split("x").map(Number);
    const { faces } = JSON.parse(answer.headers.get("picture-faces") ?? '{"faces":[]}') as {
      faces: PictureFace[];
    };
    const captured = Date.parse(answer.headers.get("picture-captured") ?? "");
    const explanation = answer.headers.get("picture-overlay");
    const found = explanation === null ? null : (JSON.parse(explanation) as PictureOverlay);
    return { bitmap, faces, width, height, captured, overlay: found };
  }
}

function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
}
