// What one stream is judged by, changed while it runs.

import { useEffect, useState } from "preact/hooks";
import type { App } from "../app";
import { asProblem, type Problem } from "../api";
import type { Thresholds, ThresholdsChange, ThresholdsView } from "../protocol";
import { labelled, ProblemText } from "../problem";
import "./thresholds.css";

interface Field {
  key: keyof Thresholds;
  label: string;
  unit: string;
  step: number;
  max: number;
}

const FIELDS: Field[] = [
  { key: "enter", label: "Suspect from", unit: "score", step: 0.01, max: 1 },
  { key: "leave", label: "Clear at or below", unit: "score", step: 0.01, max: 1 },
  { key: "dwell_s", label: "Held for", unit: "s", step: 0.1, max: 3600 },
  { key: "half_life_s", label: "Memory, half-life", unit: "s", step: 0.1, max: 3600 },
  { key: "min_face_px", label: "Smallest face", unit: "px", step: 1, max: 4096 },
  { key: "min_sharpness", label: "Least sharpness", unit: "", step: 1, max: 100_000 },
  { key: "min_brightness", label: "Least brightness", unit: "of 255", step: 1, max: 255 },
  { key: "max_yaw_deg", label: "Largest head turn", unit: "°", step: 1, max: 180 },
  { key: "max_loss", label: "Largest loss", unit: "share", step: 0.01, max: 1 },
];

const LABELS = Object.fromEntries(FIELDS.map(({ key, label }) => [key, label]));

interface Props {
  app: App;
  stream: string;
  view: ThresholdsView | null;
  onChange: (view: ThresholdsView) => void;
}

export function ThresholdsForm({ app, stream, view, onChange }: Props) {
  const [draft, setDraft] = useState<Record<string, string>>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  const [saved, setSaved] = useState(false);

  useEffect(() => {
    setDraft({});
    setProblem(null);
    setSaved(false);
  }, [stream]);

  if (!view) return <p class="quiet">Not known yet</p>;
  const { current, configured } = view;
  const edited = FIELDS.filter(({ key }) => key in draft && Number(draft[key]) !== current[key]);
  const differs = FIELDS.filter(({ key }) => current[key] !== configured[key]);

  async function send(change: ThresholdsChange) {
    setProblem(null);
    try {
      onChange(await app.api.setThresholds(stream, change));
      setDraft({});
      setSaved(true);
    } catch (error) {
      setProblem(asProblem(error));
    }
  }

  function submit(event: Event) {
    event.preventDefault();
    void send(Object.fromEntries(edited.map(({ key }) => [key, Number(draft[key])])));
  }

  return (
    <form class="thresholds" onSubmit={submit}>
      <fieldset class="fields" disabled={!app.mayControl} aria-label="Thresholds">
        {FIELDS.map(({ key, label, unit, step, max }) => (
          <label key={key} class={current[key] === configured[key] ? "" : "changed"}>
            <span>{label}</span>
            <input
              type="number"
              name={key}
              min={0}
              max={max}
              step={step}
              required
              readOnly={!app.mayControl}
              value={draft[key] ?? String(current[key])}
              onInput={(at) => {
                setDraft({ ...draft, [key]: at.currentTarget.value });
                setSaved(false);
              }}
            />
            <span class="unit">{unit}</span>
          </label>
        ))}
      </fieldset>
      <div role="status">
        {problem && (
          <ProblemText
            title={problem.title}
            detail={problem.detail}
            hint={problem.hint}
            faults={labelled(problem.faults, LABELS)}
          />
        )}
        {saved && edited.length === 0 && <p class="quiet">Holds from the next frame on</p>}
      </div>
      {app.mayControl && <footer>
        <button
          type="button"
          disabled={differs.length === 0}
          onClick={() => void send(Object.fromEntries(differs.map(({ key }) => [key, null])))}
        >
          As configured
        </button>
        <button type="submit" class="primary" disabled={edited.length === 0}>
          Apply
        </button>
      </footer>}
    </form>
  );
}
