// What is known of the canaries, asked for again and again while somebody looks.

import type { Api } from "../api";
import type { CanariesView } from "../protocol";

export class CanaryDesk {
  view: CanariesView | null = null;
  /** Whether somebody wants to see them on the wall. */
  shown = false;

  constructor(
    private readonly api: Pick<Api, "canaries" | "learnCanaries">,
    private readonly notify: () => void,
  ) {}

  /** Ask how the detector fares. */
  look(): Promise<void> {
    return this.take(this.api.canaries());
  }

  /** Have what is seen from now on be what is expected. */
  learn(): Promise<void> {
    return this.take(this.api.learnCanaries());
  }

  private async take(answer: Promise<CanariesView>): Promise<void> {
    try {
      this.view = await answer;
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
