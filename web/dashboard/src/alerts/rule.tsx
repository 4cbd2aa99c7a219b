// One rule: what it tells, how often, through what, and how it fared.

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { BinIcon } from "../icons";
import { ProblemText } from "../problem";
import type { TrialView } from "../protocol";
import { sentence } from "../words";
import { heldWords, paceWords, quietWords, type Rule, ruleWords } from "./rules";

interface Props {
  app: App;
  rule: Rule;
  onEdit: () => void;
  /** What is shown is old: ask again. */
  onChanged: () => void;
}

export function RuleRow({ app, rule, onEdit, onChanged }: Props) {
  const [trial, setTrial] = useState<TrialView | "sending" | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const fixed = rule.origin === "configuration";
  const held = heldWords(rule);

  async function attempt(work: () => Promise<void>) {
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setTrial(null);
      setProblem(asProblem(error));
    }
    onChanged();
  }

  return (
    <li class={`rule${rule.enabled ? "" : " off"}`} aria-label={rule.name}>
      <div class="rule-head">
        <h3>{rule.name}</h3>
        {!rule.enabled && <p class="chip">Turned off</p>}
        {fixed && <p class="chip">From the configuration</p>}
        {app.mayControl && (
          <div class="tools">
            <button
              type="button"
              disabled={trial === "sending"}
              aria-label={`Send a test by ${rule.name}`}
              onClick={() => {
                setTrial("sending");
                void attempt(async () => setTrial(await app.api.testRule(rule.name)));
              }}
            >
              Send a test
            </button>
            {!fixed && (
              <>
                <button type="button" aria-label={`Change ${rule.name}`} onClick={onEdit}>
                  Change
                </button>
                <Remove name={rule.name} onSure={() => void attempt(() => app.api.removeRule(rule.name))} />
              </>
            )}
          </div>
        )}
      </div>
      <p>{ruleWords(rule)}.</p>
      <p class="quiet">{paceWords(rule)}.</p>
      {rule.quiet.map((hours) => (
        <p class="quiet" key={quietWords(hours)}>
          Quiet: {quietWords(hours)}.
        </p>
      ))}
      <p class="quiet">
        Through {rule.channels.join(", ")}. {held && `${held}.`}
      </p>
      <div role="status">
        {trial === "sending" && <p class="quiet">Sending</p>}
        {trial && trial !== "sending" && (
          <ul class="trial">
            {trial.results.map(({ channel, ok, detail }) => (
              <li key={channel} class={ok ? "good" : "bad"}>
                <strong>{ok ? "Test sent" : "Not sent"}</strong> through {channel}
                {detail && `: ${ok ? detail : sentence(detail)}`}
              </li>
            ))}
          </ul>
        )}
      </div>
      {problem && (
        <div role="alert">
          <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
        </div>
      )}
    </li>
  );
}

/** A button that asks once more; Escape, leaving it and time disarm it. */
function Remove({ name, onSure }: { name: string; onSure: () => void }) {
  const [sure, setSure] = useState(false);
  useEffect(() => {
    if (!sure) return;
    const timer = setTimeout(() => setSure(false), 5_000);
    return () => clearTimeout(timer);
  }, [sure]);
  return (
    <button
      type="button"
      class={sure ? "danger" : ""}
      aria-label={sure ? `Really remove ${name}?` : `Remove ${name}`}
      onClick={() => (sure ? onSure() : setSure(true))}
      onKeyDown={(press) => press.key === "Escape" && setSure(false)}
      onBlur={() => setSure(false)}
    >
      <BinIcon /> {sure ? "Really remove?" : "Remove"}
    </button>
  );
}
