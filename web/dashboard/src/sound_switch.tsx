// Whether this browser sounds a tone when a verdict turns suspect: off until somebody turns it on.

import type { App } from "./app";
import { SoundIcon } from "./icons";
import type { Hearing } from "./sound";

const TITLES: Record<Hearing, string> = {
  on: "A short tone sounds when a verdict turns suspect",
  off: "Have a short tone sound when a verdict turns suspect",
  waiting: "The browser keeps this page silent until you click in it or press a key",
  unable: "This browser makes no sound",
};

const WORDS: Record<Hearing, string> = {
  on: "Sound on",
  off: "Sound",
  waiting: "Click for sound",
  unable: "No sound here",
};

export function SoundSwitch({ app }: { app: App }) {
  const { hearing } = app.sound;
  const wanted = hearing === "on" || hearing === "waiting";
  return (
    <button
      type="button"
      aria-pressed={wanted}
      disabled={hearing === "unable"}
      title={TITLES[hearing]}
      onClick={() => app.sound.turn(hearing !== "on")}
    >
      <SoundIcon on={wanted} /> {WORDS[hearing]}
    </button>
  );
}
