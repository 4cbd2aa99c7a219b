// What the analyzer asks the person before this browser to do: large, over everything else, and
// colours over the whole page.

import { useEffect, useState } from "preact/hooks";
import type { PromptData } from "../protocol";
import "./challenge.css";

export function CallerPrompt({ prompt }: { prompt: PromptData }) {
  const [asked, setAsked] = useState({ key: "", at: 0 });
  const key = `${prompt.challenge} ${prompt.phase} ${prompt.prompt}`;
  const now = useTick(200);
  useEffect(() => setAsked({ key, at: Date.now() }), [key]);
  if (!prompt.prompt) return null;
  const since = asked.key === key ? now - asked.at : 0;
  const left = prompt.remaining_s === null ? null : Math.ceil(prompt.remaining_s - since / 1000);
  return (
    <>
      {prompt.colours.length > 0 && <Colours key={key} colours={prompt.colours} seconds={prompt.colours_s} />}
      <div class="caller-prompt" role="alertdialog" aria-label="You are asked to do something">
        <p>{prompt.prompt}</p>
        {left !== null && left > 0 && (
          <p class="left" aria-hidden="true">
            {left} s
          </p>
        )}
      </div>
    </>
  );
}

/** Colours over the whole page, one after the other: two a second, which is no flicker. */
function Colours({ colours, seconds }: { colours: readonly string[]; seconds: number }) {
  const [shown, setShown] = useState(0);
  useEffect(() => {
    const begun = performance.now();
    const each = (seconds * 1000) / colours.length;
    let frame = 0;
    const step = () => {
      const slot = Math.floor((performance.now() - begun) / each);
      setShown(slot);
      if (slot < colours.length) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [colours, seconds]);
  const colour = colours[shown];
  return colour ? <div class="caller-colours" style={{ background: colour }} data-colour={colour} /> : null;
}

function useTick(everyMs: number): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
