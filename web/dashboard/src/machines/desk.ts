// What is known of machines and their workers, asked for again and again while somebody looks.

import { asProblem, type Api, type Problem } from "../api";
import type { WorkersView } from "../protocol";

export class MachineDesk {
  view: WorkersView | null = null;
  /** Why the last question was not answered. */
  problem: Problem | null = null;

  constructor(
    private readonly api: Pick<Api, "workers" | "drain" | "undrain">,
    private readonly notify: () => void,
  ) {}

  /** Ask who is there and how each fares. */
  async look(): Promise<void> {
    try {
      this.view = await this.api.workers();
      this.problem = null;
    } catch (error) {
      this.problem = asProblem(error);
    }
    this.notify();
  }

  /** Have a worker's streams moved away, or give it streams again. Raises what the server refuses. */
  async drain(name: string, draining: boolean): Promise<void> {
    const changed = draining ? await this.api.drain(name) : await this.api.undrain(name);
    if (this.view !== null) {
      const workers = this.view.workers.map((worker) => (worker.name === name ? changed : worker));
      this.view = { ...this.view, workers };
    }
    this.notify();
    await this.look();
  }

  /** Whether there is more than one worker to tell apart. */
  get several(): boolean {
    return (this.view?.workers.length ?? 0) > 1;
  }

  /** The name of a stream's worker; empty where there is nothing to tell apart. */
  workerOf(stream: string): string {
    if (!this.several) return "";
    return this.view?.workers.find(({ alive, streams }) => alive && streams.includes(stream))?.name ?? "";
  }
}
