// Asking the person in a stream for something: the button, the prompt to read out, and the result.

import { useEffect, useReducer, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { ProblemText } from "../problem";
import type { ChallengeData, Task } from "../protocol";
import type { Stream } from "../streams";
import { ChallengeResult } from "./result";
import { left, newest, standing, TASKS } from "./words";
import "../stream/panel.css";
import "./challenge.css";

interface ChallengePanelProps {
  app: App;
  stream: Stream;
  /** Wall-clock milliseconds of the server. */
  now: number;
}

export function ChallengePanel({ app, stream, now }: ChallengePanelProps) {
  const [task, setTask] = useState<Task>("random");
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const { known, page, asksNobody, look } = useKnown(app, stream);
  if (asksNobody) return null;
  const challenge = newest(stream.events) ?? known;
  const running = challenge !== null && challenge.phase !== "done";

  async function ask() {
    setRefusal(null);
    try {
      await app.api.askChallenge(stream.id, task);
    } catch (error) {
      setRefusal(asProblem(error));
    }
  }

  return (
    <section class="panel challenge" aria-labelledby="challenge-title">
      <div class="panel-head">
        <h2 id="challenge-title">Challenge</h2>
        {app.mayControl && (
          <div class="ask">
            <select
              aria-label="What to ask for"
              value={task}
              disabled={running}
              onFocus={look}
              onChange={(at) => setTask(at.currentTarget.value as Task)}
            >
              {TASKS.map((each) => (
                <option key={each.task} value={each.task} disabled={each.task === "flash" && !page}>
                  {each.label}
                </option>
              ))}
            </select>
            <button type="button" disabled={running} onClick={() => void ask()}>
              Ask for a challenge
            </button>
          </div>
        )}
      </div>
      {refusal && (
        <div class="refused" role="alert">
          <ProblemText title={`Not asked: ${refusal.title}`} detail={refusal.detail} hint={refusal.hint} />
        </div>
      )}
      {challenge === null ? (
        <p class="quiet">
          Ask the person for something that a recording cannot know. What is seen stands beside the score and does not
          change it.
        </p>
      ) : running ? (
        <Asking challenge={challenge} now={now} />
      ) : (
        <ChallengeResult challenge={challenge} />
      )}
    </section>
  );
}

/** What is to be said now, in letters that can be read while looking elsewhere. */
function Asking({ challenge, now }: { challenge: ChallengeData; now: number }) {
  const seconds = left(challenge, now);
  return (
    <div class="asking">
      <p class="quiet">{standing(challenge)}</p>
      <p class="said" role="status">
        {challenge.prompt || "…"}
      </p>
      <p class="left" aria-hidden="true">
        {seconds === null ? "\u00a0" : `${seconds} s`}
      </p>
    </div>
  );
}

/** The newest challenge from before this page was opened, and who may be asked for what. */
function useKnown(app: App, stream: Stream) {
  const [known, setKnown] = useState<ChallengeData | null>(null);
  const [page, setPage] = useState(false);
  const [asksNobody, setAsksNobody] = useState(false);
  const [looks, look] = useReducer<number, void>((count) => count + 1, 0);
  const live = app.live.link.phase === "live";
  const state = stream.status?.state;
  useEffect(() => {
    if (!live) return;
    let current = true;
    app.api.challenges(stream.id).then(
      (found) => {
        if (!current) return;
        setKnown(found.challenges[0] ?? null);
        setPage(found.page);
        setAsksNobody(false);
      },
      (error) => current && setAsksNobody(asProblem(error).status === 404),
    );
    return () => {
      current = false;
    };
  }, [app, stream.id, live, state, looks]);
  return { known, page, asksNobody, look: () => look() };
}
