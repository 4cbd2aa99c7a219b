// What the person was asked around an incident: beside it, and no part of its severity.

import { useEffect, useState } from "preact/hooks";
import type { App } from "../app";
import type { ChallengeData, IncidentData } from "../protocol";
import { endOf } from "../stream/rail";
import { ChallengeResult } from "./result";
import "../stream/panel.css";

const AROUND_MS = 600_000;

interface ChallengesOfProps {
  app: App;
  incident: IncidentData;
  now: number;
}

export function ChallengesOf({ app, incident, now }: ChallengesOfProps) {
  const [found, setFound] = useState<readonly ChallengeData[]>([]);
  const { stream, opened, status } = incident;
  const until = status === "open" ? undefined : endOf(incident, now) + AROUND_MS;
  useEffect(() => {
    let current = true;
    app.api.challenges(stream, Date.parse(opened) - AROUND_MS, until).then(
      ({ challenges }) => current && setFound(challenges.filter(({ phase }) => phase === "done")),
      () => {}, // without them an incident is still an incident
    );
    return () => {
      current = false;
    };
  }, [app, stream, opened, until]);
  if (found.length === 0) return null;
  return (
    <section class="panel around-incident" aria-labelledby="challenges-title">
      <div class="panel-head">
        <h2 id="challenges-title">Asked around this time</h2>
      </div>
      {found.map((challenge) => (
        <ChallengeResult key={challenge.id} challenge={challenge} />
      ))}
    </section>
  );
}
