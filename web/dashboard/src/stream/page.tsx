// One stream from close by.

import { useEffect, useState } from "preact/hooks";
import type { Problem } from "../api";
import { type App, useApp, useNow } from "../app";
import { condition } from "../attention";
import { BaselinePanel } from "../baseline/panel";
import { DriftNotice } from "../drift/notice";
import { ConditionIcon } from "../icons";
import { RunsOn } from "../machines/page";
import { LivePicture } from "../picture";
import { ProblemText } from "../problem";
import type { OverlayView, ThresholdsView } from "../protocol";
import type { StreamRoute } from "../route";
import { doubt, frameAge, primary, type Stream } from "../streams";
import { SmallWindowButton } from "../small/button";
import { OwnTags, StreamName } from "../stream-name";
import { Tags } from "../tags";
import { useTitle } from "../title";
import { because, sentence, stateWords } from "../words";
import { ChallengePanel } from "../challenge/panel";
import { Back, Remove, Share } from "./actions";
import { ExplanationSwitch, useExplanation } from "./explanation";
import { Faces } from "./faces";
import { ScoreHistory } from "./history";
import { Log } from "./log";
import { ThresholdsForm } from "./thresholds";
import { WaitingRoom } from "./waiting_room";
import "../verdict.css";
import "./panel.css";
import "./page.css";

export function StreamPage({ app, route }: { app: App; route: StreamRoute }) {
  useApp(app);
  const stream = app.streams.all.get(route.id);
  useTitle(app, stream ? `${stateWords(condition(stream), stream)} · ${stream.name}` : route.id);
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
  const [thresholds, setThresholds] = useState<ThresholdsView | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const explanation = useExplanation();
  const [overlays, setOverlays] = useState<OverlayView[]>([]);
  const detector = chosen ?? primary(stream);
  const model = stream.models.find(({ name }) => name === detector) ?? null;
  const stale = app.live.link.phase !== "live";
  const several = stream.models.length > 1;
  const doubted = doubt(stream, model);
  const what = condition(stream);
  const age = frameAge(stream, now);
  const troubled = what === "failed" || what === "lost";
  const called = stream.status?.source === "call";
  const callOver = called && stream.status?.state === "ended";
  const neverCalled = called && stream.status?.state === "connecting" && stream.frameAt === null;

  useEffect(() => app.wantPast(stream.id), [app, stream.id, stream.seeded]);
  useEffect(() => {
    if (stale) return;
    app.api.thresholds(stream.id).then(setThresholds, () => setThresholds(null));
    app.api.overlays(stream.id).then(setOverlays, () => setOverlays([]));
  }, [app, stream.id, stale]);

  return (
    <article class={`stream is-${what}`}>
      <header class="stream-head">
        <Back app={app} />
        <StreamName app={app} stream={stream} key={`${stream.id} name`} />
        <p class="state">
          <ConditionIcon of={what} />
          <span>{stateWords(what, stream)}</span>
        </p>
        <div class="tags">
          <Tags stream={stream} />
          <OwnTags app={app} stream={stream} />
          <RunsOn app={app} stream={stream.id} />
        </div>
        <div class="actions">
          <SmallWindowButton app={app} subject={stream.id} title={stream.name} />
          <Share route={route} />
          {app.mayControl && <Remove app={app} stream={stream} onRefused={setRefusal} />}
        </div>
        <p class="why">{sentence(because(stream, what)) || "\u00a0"}</p>
        {troubled && stream.status?.hint && <p class="advice">{stream.status.hint}.</p>}
        <DriftNotice status={stream.status} />
        {refusal && (
          <div class="refused" role="alert">
            <ProblemText title={`Not removed: ${refusal.title}`} detail={refusal.detail} hint={refusal.hint} />
          </div>
        )}
      </header>

      {callOver && <WaitingRoom stream={stream.id} again />}
      <div class="close-up">
        <div class="view">
          {neverCalled ? (
            <WaitingRoom stream={stream.id} again={false} />
          ) : (
            <LivePicture
              app={app}
              stream={stream.id}
              width={1280}
              label={stream.name}
              detailed
              detector={detector}
              doubtful={doubted !== null}
              stale={stale || (age ?? 0) > 3_000}
              explained={explanation.chosen}
              onExplanation={explanation.show}
              onRefused={explanation.refuse}
            />
          )}
          {!neverCalled && overlays.length > 0 && (
            <ExplanationSwitch
              overlays={overlays}
              chosen={explanation.chosen}
              shown={explanation.shown}
              refusal={explanation.refusal}
              onChoose={explanation.choose}
            />
          )}
        </div>
        <Faces
          app={app}
          stream={stream}
          age={age}
          detector={detector}
          enter={thresholds?.current.enter ?? null}
          onChoose={setChosen}
        />
      </div>

      {!neverCalled && (
        <ScoreHistory
          app={app}
          stream={stream}
          route={route}
          detector={detector}
          doubtful={doubted !== null}
          now={now}
          thresholds={thresholds}
        />
      )}

      {!neverCalled && <ChallengePanel app={app} stream={stream} now={now} />}

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
        <BaselinePanel app={app} stream={stream.id} mark={stream.status?.baseline ?? null} />
      </div>
    </article>
  );
}
