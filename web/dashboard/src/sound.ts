// A short tone when a verdict turns suspect, for who asked for it. The loudspeaker is handed in.

export type Hearing = "unable" | "off" | "on" | "waiting";

export interface Speaker {
  able: boolean;
  /** Whether a tone could be heard now: browsers keep a page silent until somebody has used it. */
  ready(): boolean;
  /** Become ready, which only somebody's click or key may do. */
  wake(): void;
  play(): void;
  wish: { get(): boolean; set(on: boolean): void };
}

/** Streams that turn suspect within so long make one tone. */
const QUIET_MS = 2_000;

export class Sound {
  private suspects: ReadonlySet<string> | null = null;
  private playedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly speaker: Speaker,
    private readonly changed: () => void,
    private readonly now: () => number = () => Date.now(),
  ) {}

  get hearing(): Hearing {
    if (!this.speaker.able) return "unable";
    if (!this.speaker.wish.get()) return "off";
    return this.speaker.ready() ? "on" : "waiting";
  }

  /** Turn it on, with the tone that will be heard, or off. */
  turn(on: boolean): void {
    this.speaker.wish.set(on);
    if (on) {
      this.speaker.wake();
      this.speaker.play();
    }
    this.changed();
  }

  /** Take the streams that are suspect now; those that were so at first make no tone. */
  hear(suspects: Iterable<string>): void {
    const before = this.suspects;
    this.suspects = new Set(suspects);
    if (before === null || !this.speaker.wish.get()) return;
    const turned = [...this.suspects].some((id) => !before.has(id));
    if (!turned || this.now() - this.playedAt < QUIET_MS) return;
    this.playedAt = this.now();
    this.speaker.play();
  }
}

const WISH_KEY = "sound";
const NOTES_HZ = [660, 880];
const NOTE_S = 0.16;
const LOUDNESS = 0.2;

/** The loudspeaker of the browser that the page runs in. */
export function realSpeaker(): Speaker {
  let context: AudioContext | null = null;
  const wake = () => {
    context ??= new AudioContext();
    void context.resume();
  };
  const wish = {
    get: () => localStorage.getItem(WISH_KEY) === "on",
    set: (on: boolean) => localStorage.setItem(WISH_KEY, on ? "on" : "off"),
  };
  // After a reload the page may sound again once somebody uses it.
  for (const used of ["pointerdown", "keydown"]) {
    addEventListener(used, () => wish.get() && wake(), { passive: true });
  }
  return {
    able: "AudioContext" in globalThis,
    ready: () => context?.state === "running",
    wake,
    play: () => {
      if (context) chime(context);
    },
    wish,
  };
}

/** Two rising notes that swell and fade, so that they do not click. */
function chime(context: AudioContext): void {
  NOTES_HZ.forEach((hz, n) => {
    const begin = context.currentTime + n * NOTE_S;
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0, begin);
    volume.gain.linearRampToValueAtTime(LOUDNESS, begin + 0.02);
    volume.gain.linearRampToValueAtTime(0, begin + NOTE_S);
    tone.connect(volume).connect(context.destination);
    tone.start(begin);
    tone.stop(begin + NOTE_S);
  });
}
