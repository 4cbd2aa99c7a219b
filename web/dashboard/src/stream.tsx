// One stream from close by.

import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { type App, useApp, useNow } from "./app";
import { condition, faceCondition } from "./attention";
import { asProblem, type Problem } from "./api";
import { copy } from "./clipboard";
import { BackIcon, BinIcon, ConditionIcon, LinkIcon } from "./icons";
import { Interval } from "./meter";
import { LivePicture } from "./picture";
import { PointingSwitch } from "./pointing";
import type { OverlayView, PictureOverlay, ScoreData, ThresholdsView } from "./protocol";
import { address, type Route } from "./route";
import { path, type Sample } from "./series";
import { Said } from "./start";
import { doubt, frameAge, leading, primary, type Happening, type Point, type Stream } from "./streams";
import { ThresholdsForm } from "./thresholds";
import { Tags } from "./tile";
import { Timeline, trackColour } from "./timeline";
import { ago, because, clock, number, reasonWords, sentence, stateWords, tell } from "./words";

const SPANS = [
  { label: "1 min", ms: 60_000 },
  { label: "5 min", ms: 300_000 },
  { label: "10 min", ms: 600_000 },
];
const SHOWN_EVENTS = 200;

type StreamRoute = Extract<Route, { page: "stream" }>;

export function StreamPage({ app, route }: { app: App; route: StreamRoute }) {
  useApp(app);
  const stream = app.streams.all.get(route.id);
  useEffect(() => {
    document.title = `${stream?.name ?? route.id} · StyleFlow Live`;
  }, [stream?.name, route.id]);
  if (!stream) return <Missing app={app} id={route.id} />;
  return <Known app={app} stream={stream} route={route} key={route.id} />;
}

function Missing({ app, id }: { app: App; id: string }) {
  const expected = app.publisher?.sending.id === id;
  const waiting = !app.streams.known || expected;
  return (
    <section class="empty">
      <h1>{waiting ? "One moment" : "There is no such stream"}</h1>
      <p>{waiting ? "Waiting for the analyzer" : `“${id}” was removed, or never added.`}</p>
      <Back app={app} />
    </section>
  );
}

function Known({ app, stream, route }: { app: App; stream: Stream; route: StreamRoute }) {
  const now = useNow(250) + app.streams.skew;
  const [span, setSpan] = useState(300_000);
  const [thresholds, setThresholds] = useState<ThresholdsView | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const pointing = usePointing();
  const [overlays, setOverlays] = useState<OverlayView[]>([]);
  const detector = chosen ?? primary(stream);
  const model = stream.models.find(({ name }) => name === detector) ?? null;
  const shown = useMemo(
    () => stream.points.filter((point) => point.detector === detector),
    [stream, stream.version, detector],
  );
  const zoomed = route.from !== null && route.to !== null;
  const from = zoomed ? (route.from ?? 0) : now - span;
  const to = zoomed ? (route.to ?? now) : now;
  const stale = app.live.link.phase !== "live";
  const several = stream.models.length > 1;
  const doubted = doubt(stream, model);
  const what = condition(stream);
  const age = frameAge(stream, now);

  useEffect(() => app.wantPast(stream.id), [app, stream.id, stream.seeded]);
  useEffect(() => {
    if (stale) return;
    app.api.thresholds(stream.id).then(setThresholds, () => setThresholds(null));
    app.api.overlays(stream.id).then(setOverlays, () => setOverlays([]));
  }, [app, stream.id, stale]);

  const live = () => app.go({ ...route, from: null, to: null }, true);
  return (
    <article class={`stream is-${what}`}>
      <header class="stream-head">
        <Back app={app} />
        <h1>{stream.name}</h1>
        <p class="state">
          <ConditionIcon of={what} />
          <span>{stateWords(what, leading(stream)?.model ?? null)}</span>
        </p>
        <div class="tags">
          <Tags stream={stream} />
        </div>
        <div class="actions">
          <Share route={route} />
          <Remove app={app} stream={stream} onRefused={setRefusal} />
        </div>
        <p class="why">{sentence(because(stream, what)) || "\u00a0"}</p>
        {refusal && (
          <div class="refused" role="alert">
            <Said title={`Not removed: ${refusal.title}`} detail={refusal.detail} hint={refusal.hint} />
          </div>
        )}
      </header>

      <div class="look">
        <div class="view">
          <LivePicture
            app={app}
            stream={stream.id}
            width={1280}
            label={stream.name}
            detailed
            detector={detector}
            doubtful={doubted !== null}
            stale={stale || (age ?? 0) > 3_000}
            pointing={pointing.chosen}
            onPointing={pointing.show}
            onRefused={pointing.refuse}
          />
          {overlays.length > 0 && (
            <PointingSwitch
              overlays={overlays}
              chosen={pointing.chosen}
              shown={pointing.shown}
              refusal={pointing.refusal}
              onChoose={pointing.choose}
            />
          )}
        </div>
        <Faces stream={stream} age={age} detector={detector} onChoose={setChosen} />
      </div>

      <section class="panel" aria-labelledby="timeline-title">
        <div class="panel-head">
          <h2 id="timeline-title">Score over time</h2>
          <Legend doubtful={doubted !== null} thresholds={thresholds} />
          <div class="spans" role="group" aria-label="Time span">
            {SPANS.map(({ label, ms }) => (
              <button
                key={ms}
                type="button"
                aria-pressed={!zoomed && span === ms}
                onClick={() => {
                  setSpan(ms);
                  if (zoomed) live();
                }}
              >
                {label}
              </button>
            ))}
            <button type="button" class="live" disabled={!zoomed} onClick={live}>
              Live
            </button>
          </div>
        </div>
        <Timeline
          points={shown}
          events={stream.events}
          detector={detector}
          from={from}
          to={to}
          now={now}
          enter={thresholds?.current.enter ?? null}
          leave={thresholds?.current.leave ?? null}
          doubtful={doubted !== null}
          onZoom={(begin, end) => app.go({ ...route, from: begin, to: end }, true)}
          onLive={live}
        />
        <Quality stream={stream} points={shown} from={from} to={to} thresholds={thresholds} />
      </section>

      <div class="columns">
        <Log title="Events" entries={stream.events} connection={false} named={several} />
        <Log title="Connection" entries={stream.events} connection named={several} />
        <section class="panel" aria-labelledby="thresholds-title">
          <div class="panel-head">
            <h2 id="thresholds-title">Thresholds of this stream</h2>
          </div>
          <ThresholdsForm
            app={app}
            stream={stream.id}
            view={thresholds}
            onChange={setThresholds}
          />
        </section>
      </div>
    </article>
  );
}

/** Whose places are shown over the picture, what there is to see, and why not if refused. */
function usePointing() {
  const [chosen, setChosen] = useState<string | null>(null);
  const [shown, show] = useState<PictureOverlay | null>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const choose = useCallback((detector: string | null) => {
    setChosen(detector);
    setRefusal(null);
  }, []);
  const refuse = useCallback((problem: Problem) => {
    setChosen(null); // the picture alone goes on
    setRefusal(problem);
  }, []);
  return { chosen, shown, refusal, choose, show, refuse };
}

function Back({ app }: { app: App }) {
  return (
    <a
      class="back"
      href="/"
      onClick={(click) => {
        if (click.metaKey || click.ctrlKey || click.shiftKey) return;
        click.preventDefault();
        app.go({ page: "wall" });
      }}
    >
      <BackIcon /> All streams
    </a>
  );
}

function Share({ route }: { route: StreamRoute }) {
  const [said, setSaid] = useState("Copy link");
  const link = location.origin + address(route);
  async function share() {
    setSaid((await copy(link)) ? "Link copied" : "See the address bar");
    setTimeout(() => setSaid("Copy link"), 2_500);
  }
  return (
    <button type="button" class="share" onClick={() => void share()}>
      <LinkIcon />
      <span aria-live="polite">{said}</span>
    </button>
  );
}

interface RemoveProps {
  app: App;
  stream: Stream;
  onRefused: (problem: Problem) => void;
}

function Remove({ app, stream, onRefused }: RemoveProps) {
  const [sure, setSure] = useState(false);
  async function remove() {
    if (!sure) {
      setSure(true);
      setTimeout(() => setSure(false), 4_000);
      return;
    }
    const own = app.publisher?.sending.id === stream.id;
    if (own) await app.publisher?.stop();
    try {
      await app.api.removeStream(stream.id);
    } catch (error) {
      const problem = asProblem(error);
      // Who may only call cannot remove either, but the call is over and its stream goes with it.
      if (!own && problem.status !== 404) {
        setSure(false);
        onRefused(problem);
        return;
      }
    }
    app.go({ page: "wall" });
  }
  return (
    <button type="button" class={sure ? "danger" : ""} onClick={() => void remove()}>
      <BinIcon /> {sure ? "Really remove?" : "Remove"}
    </button>
  );
}

interface FacesProps {
  stream: Stream;
  age: number | null;
  detector: string | null;
  onChoose: (detector: string) => void;
}

function Faces({ stream, age, detector, onChoose }: FacesProps) {
  const { status } = stream;
  const tracks = [...stream.faces.keys()].sort((a, b) => a - b);
  const scores = [...stream.faces.values()].flatMap((voices) => [...voices.values()]);
  return (
    <section class="panel faces" aria-label="Faces">
      <dl class="figures">
        <Figure name="Last frame" value={age === null ? "–" : ago(age)} />
        <Figure name="Frames" value={status?.fps ? `${status.fps.toFixed(0)}/s` : "–"} />
        <Figure name="Loss" value={share(status?.loss)} />
        <Figure name="Latency" value={latency(scores)} />
      </dl>
      {stream.models.length > 1 && (
        <label class="detector">
          <span>Detector</span>
          <select aria-label="Detector" value={detector ?? ""} onChange={(at) => onChoose(at.currentTarget.value)}>
            {stream.models.map((model) => (
              <option key={model.name} value={model.name}>
                {model.name}
                {model.status === "trained" ? "" : ` (${model.status})`}
              </option>
            ))}
          </select>
        </label>
      )}
      {tracks.length === 0 && <p class="quiet nobody">No face in the picture</p>}
      <ul>
        {tracks.map((track) => (
          <FaceRow key={track} track={track} detector={detector} stream={stream} />
        ))}
      </ul>
    </section>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function share(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `${(value * 100).toFixed(0)} %`;
}

function latency(faces: ScoreData[]): string {
  const known = faces.map((face) => face.latency_ms).filter((ms) => ms !== null);
  return known.length === 0 ? "–" : `${Math.round(Math.max(...known))} ms`;
}

interface FaceRowProps {
  track: number;
  detector: string | null;
  stream: Stream;
}

function FaceRow({ track, detector, stream }: FaceRowProps) {
  const voices = [...(stream.faces.get(track)?.values() ?? [])];
  const face = voices.find((voice) => voice.detector === detector);
  if (!face) {
    return (
      <li class="face">
        <p class="who">Face {track}</p>
        <p class="why">Not scored by {detector} yet</p>
      </li>
    );
  }
  const doubted = doubt(stream, face.model);
  const others = voices.filter((voice) => voice !== face);
  const of = faceCondition(face, doubted !== null);
  return (
    <li class={`face is-${of}`}>
      <p class="who">
        <i class={doubted ? "swatch doubtful" : `swatch ${trackColour(face.track).slice(2)}`} />
        Face {face.track}
      </p>
      <p class="state">
        <ConditionIcon of={of} /> <span>{stateWords(of, face.model)}</span>
      </p>
      <p class={`score${doubted ? " doubtful" : ""}`}>{number(face.p)}</p>
      <Interval p={face.p} lo={face.lo} hi={face.hi} />
      <p class="range">
        {number(face.lo)} to {number(face.hi)}
      </p>
      <p class="why">{sentence(reasonWords(face.reasons))}</p>
      {others.length > 0 && (
        <ul class="others" aria-label="Other detectors">
          {others.map((voice) => (
            <li key={voice.detector}>
              {voice.detector}{" "}
              <b class={doubt(stream, voice.model) ? "doubtful" : ""}>{number(voice.p)}</b>
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

function Legend({ doubtful, thresholds }: { doubtful: boolean; thresholds: ThresholdsView | null }) {
  return (
    <p class="legend">
      {doubtful && <strong>Not a finding</strong>}
      {thresholds && (
        <>
          <span class="key enter">suspect from {thresholds.current.enter.toFixed(2)}</span>
          <span class="key leave">clear to {thresholds.current.leave.toFixed(2)}</span>
        </>
      )}
      <span class="key epoch">video starts anew</span>
      <span class="key down">not connected</span>
    </p>
  );
}

interface QualityProps {
  stream: Stream;
  points: readonly Point[];
  from: number;
  to: number;
  thresholds: ThresholdsView | null;
}

function Quality({ stream, points: all, from, to, thresholds }: QualityProps) {
  const track = leading(stream)?.track ?? all.at(-1)?.track ?? null;
  const points = useMemo(
    () => all.filter((point) => point.track === track),
    [all, track],
  );
  const { current } = thresholds ?? {};
  const size = points.map(({ t, facePx }) => ({ t, v: facePx }));
  const sharp = points.map(({ t, sharpness }) => ({ t, v: sharpness }));
  const rate = stream.pulses.map(({ t, fps }) => ({ t, v: fps }));
  const lost = stream.pulses.map(({ t, loss }) => ({ t, v: loss === null ? null : loss * 100 }));
  return (
    <div class="strips">
      <Strip name="Face size" unit="px" samples={size} from={from} to={to} limit={current?.min_face_px} />
      <Strip name="Sharpness" unit="" samples={sharp} from={from} to={to} limit={current?.min_sharpness} />
      <Strip name="Frame rate" unit="/s" samples={rate} from={from} to={to} />
      <Strip
        name="Loss"
        unit="%"
        samples={lost}
        from={from}
        to={to}
        least={10}
        limit={current && current.max_loss * 100}
      />
    </div>
  );
}

interface StripProps {
  name: string;
  unit: string;
  samples: Sample[];
  from: number;
  to: number;
  limit?: number | undefined;
  /** The scale shows at least so much. */
  least?: number;
}

const STRIP_W = 240;
const STRIP_H = 36;

function Strip({ name, unit, samples, from, to, limit, least = 1 }: StripProps) {
  const seen = samples.filter(({ t }) => t >= from && t <= to);
  const values = seen.map(({ v }) => v).filter((v) => v !== null);
  const top = Math.max(least, ...values, limit ?? 0) * 1.15;
  const newest = seen.at(-1)?.v ?? null;
  const y = limit === undefined ? null : STRIP_H * (1 - limit / top);
  return (
    <figure class="strip">
      <figcaption>
        <span>{name}</span>
        <strong>{newest === null ? "–" : `${Math.round(newest)}${unit && ` ${unit}`}`}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${STRIP_W} ${STRIP_H}`} preserveAspectRatio="none" aria-hidden="true">
        {y !== null && <path class="limit" d={`M0 ${y.toFixed(1)}H${STRIP_W}`} />}
        <path class="line" d={path(seen, from, to, top, STRIP_W, STRIP_H, 3_500)} />
      </svg>
    </figure>
  );
}

interface LogProps {
  title: string;
  entries: readonly Happening[];
  connection: boolean;
  /** Whether there are several detectors to tell apart. */
  named: boolean;
}

function Log({ title, entries, connection, named }: LogProps) {
  const told = entries
    .map((entry) => ({ entry, told: tell(entry, named) }))
    .filter(({ told: { connection: of } }) => of === connection)
    .slice(-SHOWN_EVENTS)
    .reverse();
  const id = `log-${connection ? "connection" : "events"}`;
  return (
    <section class="panel log" aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
      </div>
      {told.length === 0 ? (
        <p class="quiet">Nothing yet</p>
      ) : (
        <ol tabIndex={0} aria-labelledby={id}>
          {told.map(({ entry, told: { text, tone } }) => (
            <li key={entry.id} class={`tone-${tone}`}>
              <time dateTime={new Date(entry.t).toISOString()}>{clock(entry.t)}</time>
              <span>{text}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
