// A stream that opens no incidents for a while, with a reason; seen by everybody, set by who may.

import { useEffect, useId, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { ProblemText } from "../problem";
import type { IncidentData } from "../protocol";
import { moment } from "../words";
import type { SnoozeData } from "./wire";

const TIMES = [
  { minutes: 15, words: "15 minutes" },
  { minutes: 60, words: "1 hour" },
  { minutes: 480, words: "8 hours" },
  { minutes: 1_440, words: "1 day" },
];

interface Props {
  app: App;
  incident: IncidentData;
  now: number;
}

export function Snooze({ app, incident, now }: Props) {
  const field = useId();
  const { stream, name } = incident;
  const [current, setCurrent] = useState<SnoozeData | null>(null);
  const [reason, setReason] = useState("");
  const [minutes, setMinutes] = useState(60);
  const [problem, setProblem] = useState<Problem | null>(null);

  const look = () =>
    app.api.snoozes().then(
      (all) => setCurrent(all.find((one) => one.stream === stream) ?? null),
      () => setCurrent(null),
    );
  useEffect(() => void look(), [app, stream]);

  async function change(work: Promise<void>) {
    setProblem(null);
    try {
      await work;
      setReason("");
      await look();
    } catch (error) {
      setProblem(asProblem(error));
    }
  }

  const active = current !== null && Date.parse(current.until) > now ? current : null;
  if (active === null && !app.mayControl) return null;
  return (
    <div class="snooze">
      <h3>{active ? `${name} is snoozed` : `Snooze ${name}`}</h3>
      {problem && (
        <div role="alert">
          <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
        </div>
      )}
      {active ? (
        <>
          <p>
            It opens no incidents until {moment(Date.parse(active.until), now)}: “{active.reason}”, says {active.by}.
          </p>
          {app.mayControl && (
            <button type="button" onClick={() => void change(app.api.endSnooze(stream))}>
              Watch it again now
            </button>
          )}
        </>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (reason.trim()) void change(app.api.snooze(stream, { reason: reason.trim(), minutes }));
          }}
        >
          <p class="quiet">It opens no incidents meanwhile; it is scored all the same.</p>
          <label for={`${field}-reason`}>Reason</label>
          <input
            id={`${field}-reason`}
            value={reason}
            maxLength={500}
            autocomplete="off"
            onInput={(at) => setReason(at.currentTarget.value)}
          />
          <label for={`${field}-minutes`}>For</label>
          <div class="snooze-row">
            <select
              id={`${field}-minutes`}
              value={minutes}
              onChange={(at) => setMinutes(Number(at.currentTarget.value))}
            >
              {TIMES.map((time) => (
                <option key={time.minutes} value={time.minutes}>
                  {time.words}
                </option>
              ))}
            </select>
            <button type="submit" disabled={reason.trim() === ""}>
              Snooze
            </button>
          </div>
        </form>
      )}
    </div>
  );
}
