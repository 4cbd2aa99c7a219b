// What the small window shows: the faces of one stream, or of every stream that needs eyes, each with
// its picture, its state in words and colour, and its score.

import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import type { App } from "../app";
import { type Condition, condition, faceCondition } from "../attention";
import { needingEyes } from "../eyes";
import { ConditionIcon } from "../icons";
import { type Crop, cropOf } from "../crop";
import type { Picture } from "../pictures";
import { doubt, leading, speaking, type Stream } from "../streams";
import { because, number, scoreMeaning, sentence, stateWords } from "../words";
import { recolour } from "./window";
import "../verdict.css";
import "./glance.css";

/** One stream, or null for all that need eyes. */
export type Subject = string | null;

const PICTURE_WIDTH = 640;
const MOST = 12;

interface GlanceProps {
  app: App;
  subject: Subject;
  /** The window that it is shown in, whose timers go on while the page is hidden. */
  at: Window;
}

export function Glance({ app, subject, at }: GlanceProps) {
  const [, again] = useReducer<number, void>((count) => count + 1, 0);
  useLayoutEffect(() => app.listen(() => again()), [app]);
  useLayoutEffect(() => {
    const timer = at.setInterval(() => again(), 1_000);
    return () => at.clearInterval(timer);
  }, [at]);
  recolour(at.document, document);
  const live = app.live.link.phase === "live";
  const streams = [...app.streams.all.values()];
  const one = subject === null ? null : (app.streams.all.get(subject) ?? null);
  return (
    <main class={live ? "glance" : "glance stale"}>
      {!live && <p class="cut">No connection to the analyzer. This is from then.</p>}
      {subject === null ? (
        <NeedingEyes app={app} streams={streams} />
      ) : one ? (
        <OneStream app={app} stream={one} />
      ) : (
        <p class="calm">This stream is gone</p>
      )}
    </main>
  );
}

function NeedingEyes({ app, streams }: { app: App; streams: Stream[] }) {
  const placed = needingEyes(streams);
  const suspects = placed.filter((stream) => condition(stream) === "suspect").length;
  const watched = `${streams.length} ${streams.length === 1 ? "stream" : "streams"}`;
  return (
    <>
      <h1 class={suspects > 0 ? "is-suspect" : ""}>
        {suspects > 0 ? `${suspects} of ${watched} suspect` : `None of ${watched} suspect`}
      </h1>
      {placed.length === 0 && <p class="calm">Nothing needs eyes now</p>}
      <ul>
        {placed.slice(0, MOST).map((stream) => (
          <StreamCard key={stream.id} app={app} stream={stream} />
        ))}
      </ul>
      {placed.length > MOST && <p class="calm">and {placed.length - MOST} more on the page</p>}
    </>
  );
}

function StreamCard({ app, stream }: { app: App; stream: Stream }) {
  const picture = usePicture(app, stream.id);
  const what = condition(stream);
  const lead = leading(stream);
  return (
    <Card
      what={what}
      name={<Name app={app} stream={stream} />}
      words={stateWords(what, stream)}
      why={because(stream, what)}
      p={lead?.p ?? null}
      meaning={lead ? scoreMeaning(lead) : ""}
      doubtful={doubt(stream, lead?.model) !== null}
      picture={picture}
      track={lead?.track ?? null}
      label={stream.name}
    />
  );
}

function OneStream({ app, stream }: { app: App; stream: Stream }) {
  const picture = usePicture(app, stream.id);
  const what = condition(stream);
  const tracks = [...stream.faces.keys()].sort((a, b) => a - b);
  return (
    <>
      <h1 class={`is-${what}`}>
        <Name app={app} stream={stream} />
      </h1>
      {tracks.length === 0 && (
        <ul>
          <Card
            what={what}
            name={null}
            words={stateWords(what, stream)}
            why={because(stream, what)}
            p={null}
            meaning=""
            doubtful={false}
            picture={picture}
            track={null}
            label={stream.name}
          />
        </ul>
      )}
      <ul>
        {tracks.map((track) => {
          const score = speaking(stream, track);
          if (score === null) return null;
          const doubtful = doubt(stream, score.model) !== null;
          const of = faceCondition(score, doubtful);
          return (
            <Card
              key={track}
              what={of}
              name={tracks.length > 1 ? `Face ${track}` : null}
              words={stateWords(of)}
              why={because(stream, of, null, score)}
              p={score.p}
              meaning={scoreMeaning(score)}
              doubtful={doubtful}
              picture={picture}
              track={track}
              label={`Face ${track}`}
            />
          );
        })}
      </ul>
    </>
  );
}

/** The name of a stream; pressing it shows the stream on the page. */
function Name({ app, stream }: { app: App; stream: Stream }) {
  return (
    <button
      type="button"
      class="to-page"
      title="Show on the page"
      onClick={() => {
        app.go({ page: "stream", id: stream.id, from: null, to: null });
        focus();
      }}
    >
      {stream.name}
    </button>
  );
}

interface CardProps {
  what: Condition;
  name: preact.ComponentChildren;
  words: string;
  why: string;
  p: number | null;
  meaning: string;
  doubtful: boolean;
  picture: Picture | null;
  track: number | null;
  label: string;
}

function Card({ what, name, words, why, p, meaning, doubtful, picture, track, label }: CardProps) {
  return (
    <li class={`glance-card is-${what}`}>
      <Portrait picture={picture} track={track} label={label} />
      <div>
        {name !== null && <p class="who">{name}</p>}
        <p class="state">
          <ConditionIcon of={what} /> <span>{words}</span>
        </p>
        <p class="why">{sentence(why)}</p>
      </div>
      <p class={`score${p === null ? " none" : doubtful ? " doubtful" : ""}`} title={meaning}>
        {number(p)}
      </p>
    </li>
  );
}

interface PortraitProps {
  picture: Picture | null;
  track: number | null;
  label: string;
}

/** A face cut out of the picture; the whole picture where the face is not in it. */
function Portrait({ picture, track, label }: PortraitProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const face = picture?.faces.find((one) => one.track === track) ?? null;
  useLayoutEffect(() => {
    const at = canvas.current;
    if (!at || !picture) return;
    const { bitmap } = picture;
    const crop: Crop = cropOf(face?.box ?? null, picture);
    at.width = Math.max(Math.round(crop.width), 1);
    at.height = Math.max(Math.round(crop.height), 1);
    at.getContext("2d")?.drawImage(bitmap, crop.x, crop.y, crop.width, crop.height, 0, 0, at.width, at.height);
  }, [picture, face]);
  return (
    <div class="portrait">
      <canvas ref={canvas} role="img" aria-label={picture ? label : `${label}: no picture`} />
    </div>
  );
}

/** The newest picture of a stream, for as long as somebody looks. */
function usePicture(app: App, stream: string): Picture | null {
  const [picture, setPicture] = useState<Picture | null>(null);
  useEffect(() => app.pictures.watch(stream, PICTURE_WIDTH, setPicture), [app, stream]);
  useLayoutEffect(() => () => picture?.bitmap.close(), [picture]);
  return picture;
}
