// The faces of a stream: each with its score, its interval, and what other detectors say.

import type { App } from "../app";
import { staleWords } from "../drift/notice";
import { ConditionIcon } from "../icons";
import { Link } from "../link";
import { faceCondition } from "../attention";
import { Interval } from "../meter";
import type { ScoreData } from "../protocol";
import { doubt, type Stream } from "../streams";
import { ago, number, reasonWords, scoreMeaning, sentence, stateWords } from "../words";
import { DecisionBar } from "./decision";
import { SecondLookLine } from "./second_look";
import { trackColour } from "./timeline";
import "../verdict.css";
import "./panel.css";
import "./faces.css";

interface FacesProps {
  app: App;
  stream: Stream;
  age: number | null;
  detector: string | null;
  /** The score from which on a face is suspect. */
  enter: number | null;
  onChoose: (detector: string) => void;
}

export function Faces({ app, stream, age, detector, enter, onChoose }: FacesProps) {
  const { status } = stream;
  const tracks = [...stream.faces.keys()].sort((a, b) => a - b);
  const scores = [...stream.faces.values()].flatMap((byDetector) => [...byDetector.values()]);
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
          <FaceRow key={track} track={track} detector={detector} stream={stream} enter={enter} />
        ))}
      </ul>
      {tracks.length > 0 && (
        <Link app={app} to={{ page: "help" }} class="how">
          How to read this
        </Link>
      )}
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
  enter: number | null;
  stream: Stream;
}

function FaceRow({ track, detector, enter, stream }: FaceRowProps) {
  const scores = [...(stream.faces.get(track)?.values() ?? [])];
  const face = scores.find((score) => score.detector === detector);
  if (!face) {
    return (
      <li class="face">
        <p class="who">Face {track}</p>
        <p class="why">Not scored by {detector} yet</p>
      </li>
    );
  }
  const doubted = doubt(stream, face.model);
  const others = scores.filter((score) => score !== face);
  const of = faceCondition(face, doubted !== null);
  const stale = staleWords(stream.status);
  return (
    <li class={`face is-${of}`}>
      <p class="who">
        <i class={doubted ? "swatch doubtful" : `swatch ${trackColour(face.track).slice(2)}`} />
        Face {face.track}
      </p>
      <p class="state">
        <ConditionIcon of={of} /> <span>{stateWords(of)}</span>
      </p>
      <p class={`score${doubted ? " doubtful" : ""}`}>{number(face.p)}</p>
      <Interval p={face.p} lo={face.lo} hi={face.hi} />
      <p class="range">
        {number(face.lo)} to {number(face.hi)}
      </p>
      <p class="why">{sentence(reasonWords(face.reasons))}</p>
      <p class="meaning">{scoreMeaning(face, enter)}</p>
      {stale && <p class="stale">{sentence(stale)}</p>}
      {face.decision && (
        <DecisionBar
          decision={face.decision}
          suspect={face.state === "suspect"}
          relative={face.baseline?.state === "active"}
        />
      )}
      {face.second_look && <SecondLookLine look={face.second_look} />}
      {others.length > 0 && (
        <ul class="others" aria-label="Other detectors">
          {others.map((score) => (
            <li key={score.detector}>
              {score.detector}{" "}
              <b class={doubt(stream, score.model) ? "doubtful" : ""}>{number(score.p)}</b>
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}
