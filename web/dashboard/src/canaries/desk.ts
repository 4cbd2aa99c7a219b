// What is known of the canaries, asked for again and again while somebody looks.

import type { Api } from "../api";
import type { CanariesView } from "../protocol";

export class CanaryDesk {
  view: CanariesView | null = null;
  /** Whether somebody wants to see them on the wall. */
  shown = false;

  constructor(
    private readonly api: Pick<Api, "canaries">,
    private readonly notify: () => void,
  ) {}

  async look(): Promise<void> {
    try {
      this.view = await this.api.canaries();
    } catch {
      return; // what was said last still holds; the next try tells more
    }
    this.notify();
  }

  /** Whether none are sent; that changes only when the analyzer starts again. */
  get off(): boolean {
    return this.view?.state === "off";
  }

  show(shown: boolean): void {
    this.shown = shown;
    this.notify();
    if (shown) void this.look();
  }
}
