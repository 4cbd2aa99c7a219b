// The form of a rule, for a new one and for one of the page that is changed.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { PlusIcon } from "../icons";
import { ProblemText } from "../problem";
import { SEVERITY_WORDS } from "../words";
import {
  bodyOf,
  chosenDays,
  concerned,
  DAY_WORDS,
  type Draft,
  draftOf,
  emptyDraft,
  type Hours,
  LABELS,
  labelOf,
  lacking,
  type Rule,
  SEVERITIES,
  type Severity,
  SPANS,
  toggled,
  WEEKDAYS,
} from "./rules";
import "../dialog.css";

interface Props {
  app: App;
  /** The rule that is changed; null makes a new one. */
  rule: Rule | null;
  /** Names of other rules. */
  taken: readonly string[];
  channels: readonly string[];
  onClose: () => void;
  onSaved: () => void;
}

export function RuleForm({ app, rule, taken, channels, onClose, onSaved }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useId();
  const [draft, setDraft] = useState<Draft>(() => (rule ? draftOf(rule) : emptyDraft(channels)));
  const [tried, setTried] = useState(false);
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const faults = lacking(draft, taken);
  const wrong = new Set(tried ? faults.map(([key]) => key) : []);
  const set = (change: Partial<Draft>) => {
    setDraft({ ...draft, ...change });
    setProblem(null);
  };
  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  async function submit(event: Event) {
    event.preventDefault();
    setTried(true);
    if (faults.length > 0) return;
    setSending(true);
    try {
      await app.api.putRule(draft.name, bodyOf(draft));
      onSaved();
      dialog.current?.close();
    } catch (error) {
      setProblem(asProblem(error));
      setSending(false);
    }
  }

  const spans = SPANS.some(({ seconds }) => seconds === draft.perS)
    ? SPANS
    : [...SPANS, { seconds: draft.perS, words: `${draft.perS} seconds` }];
  const gone = draft.channels.filter((name) => !channels.includes(name));
  return (
    <dialog ref={dialog} class="dialog rule-form" onClose={onClose} aria-labelledby={`${field}-title`}>
      <form method="dialog" onSubmit={submit} noValidate>
        <h2 id={`${field}-title`}>{rule ? `Change ${rule.name}` : "New rule"}</h2>
        {!rule && (
          <>
            <label for={`${field}-name`}>{LABELS["name"]}</label>
            <input
              id={`${field}-name`}
              value={draft.name}
              maxLength={64}
              onInput={(at) => set({ name: at.currentTarget.value.trim() })}
              placeholder="doors-at-night"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              aria-invalid={wrong.has("name")}
            />
          </>
        )}
        <label for={`${field}-streams`}>{LABELS["streams"]}</label>
        <input
          id={`${field}-streams`}
          value={draft.streams}
          onInput={(at) => set({ streams: at.currentTarget.value })}
          placeholder="door-*, lobby"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-invalid={wrong.has("streams")}
          aria-describedby={`${field}-concerned`}
        />
        <p class="remark" id={`${field}-concerned`}>
          By id, with * for any part. {concerned(draft.streams, app.streams.all.values())}
        </p>
        <fieldset>
          <legend>{LABELS["channels"]}</legend>
          {channels.length === 0 && <p class="remark">No channel is configured</p>}
          <div class="choices">
            {[...channels, ...gone].map((name) => (
              <label class="check" key={name}>
                <input
                  type="checkbox"
                  checked={draft.channels.includes(name)}
                  onChange={() => set({ channels: toggled(draft.channels, name) })}
                />
                {name}
                {gone.includes(name) && " (no longer configured)"}
              </label>
            ))}
          </div>
        </fieldset>
        <div class="pair">
          <div>
            <label for={`${field}-severity`}>{LABELS["severity"]}</label>
            <select
              id={`${field}-severity`}
              value={draft.severity}
              onChange={(at) => set({ severity: at.currentTarget.value as Severity })}
            >
              {SEVERITIES.map((one) => (
                <option key={one} value={one}>
                  {SEVERITY_WORDS[one]}
                  {one !== "high" && " or above"}
                </option>
              ))}
            </select>
          </div>
          <div>
            <label for={`${field}-least`}>{LABELS["min_s"]} (s)</label>
            <input
              id={`${field}-least`}
              type="number"
              min={0}
              max={86_400}
              step="any"
              value={draft.minS}
              onInput={(at) => set({ minS: at.currentTarget.value })}
              aria-invalid={wrong.has("min_s")}
            />
          </div>
          <div>
            <label for={`${field}-most`}>{LABELS["most"]} (messages per stream)</label>
            <input
              id={`${field}-most`}
              type="number"
              min={1}
              max={1_000}
              value={draft.most}
              onInput={(at) => set({ most: at.currentTarget.value })}
              aria-invalid={wrong.has("most")}
            />
          </div>
          <div>
            <label for={`${field}-per`}>{LABELS["per_s"]}</label>
            <select
              id={`${field}-per`}
              value={draft.perS}
              onChange={(at) => set({ perS: Number(at.currentTarget.value) })}
            >
              {spans.map(({ seconds, words }) => (
                <option key={seconds} value={seconds}>
                  {words}
                </option>
              ))}
            </select>
          </div>
        </div>
        <QuietHours draft={draft} onChange={(quiet) => set({ quiet })} />
        <label class="check">
          <input
            type="checkbox"
            checked={draft.updates}
            onChange={(at) => set({ updates: at.currentTarget.checked })}
          />
          One more message when the incident is over
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={draft.enabled}
            onChange={(at) => set({ enabled: at.currentTarget.checked })}
          />
          The rule is on
        </label>
        <div class="said" role="alert">
          {problem ? (
            <ProblemText
              title={`Not saved: ${problem.title}`}
              detail={problem.detail}
              hint={problem.hint}
              faults={problem.faults.map(({ where, what }) => `${labelOf(where)}: ${what}`)}
            />
          ) : (
            tried &&
            faults.length > 0 && (
              <ProblemText
                title="Something is missing"
                hint=""
                faults={faults.map(([key, words]) => `${labelOf(key)}: ${words}`)}
              />
            )
          )}
        </div>
        <footer>
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={sending}>
            {sending ? "Saving" : "Save"}
          </button>
        </footer>
      </form>
    </dialog>
  );
}

function QuietHours({ draft, onChange }: { draft: Draft; onChange: (quiet: Hours[]) => void }) {
  const { quiet } = draft;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const change = (at: number, part: Partial<Hours>) =>
    onChange(quiet.map((hours, n) => (n === at ? { ...hours, ...part } : hours)));
  return (
    <fieldset>
      <legend>{LABELS["quiet"]}</legend>
      {quiet.map((hours, at) => (
        <div class="hours" role="group" aria-label={`Quiet hours ${at + 1}`} key={at}>
          <label>
            <span>From</span>
            <input type="time" value={hours.start} onInput={(on) => change(at, { start: on.currentTarget.value })} />
          </label>
          <label>
            <span>Until</span>
            <input type="time" value={hours.end} onInput={(on) => change(at, { end: on.currentTarget.value })} />
          </label>
          <label>
            <span>{LABELS["zone"]}</span>
            <input
              value={hours.zone}
              maxLength={64}
              spellcheck={false}
              onInput={(on) => change(at, { zone: on.currentTarget.value.trim() })}
            />
          </label>
          <button type="button" aria-label={`Remove quiet hours ${at + 1}`} onClick={() => onChange(quiet.filter((_, n) => n !== at))}>
            Remove
          </button>
          <div class="days" role="group" aria-label="Days on which they begin">
            {WEEKDAYS.map((day) => (
              <label class="check" key={day}>
                <input
                  type="checkbox"
                  checked={hours.days.length === 0 || hours.days.includes(day)}
                  onChange={() => change(at, { days: chosenDays(hours.days, day) })}
                />
                {DAY_WORDS[day]}
              </label>
            ))}
          </div>
        </div>
      ))}
      {quiet.length < 32 && (
        <button type="button" onClick={() => onChange([...quiet, { start: "22:00", end: "06:00", zone, days: [] }])}>
          <PlusIcon /> Add quiet hours
        </button>
      )}
    </fieldset>
  );
}
