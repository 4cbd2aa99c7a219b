// How to read this page: what verdicts, scores and intervals say, and how far the models that run here
// may be trusted, with their own measured figures.

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import { type App, useApp } from "../app";
import { ConditionIcon } from "../icons";
import { ProblemText } from "../problem";
import type { FiguresView, ModelFigures } from "../protocol";
import { useTitle } from "../title";
import { limits, number, VERDICTS } from "../words";
import { flaggedWords, kindWords, onceWords, precisionWords, rankedWords, weakKinds } from "./figures";
import "../verdict.css";
import "./page.css";

export function HelpPage({ app }: { app: App }) {
  useApp(app);
  useTitle(app, "How to read this");
  const [models, setModels] = useState<ModelFigures[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const live = app.live.link.phase === "live";
  useEffect(() => {
    app.api.models().then(setModels, (error) => setProblem(asProblem(error)));
  }, [app, live]);
  return (
    <article class="how-to-read">
      <h1>How to read this</h1>
      <p class="lead">
        The program looks at faces in live video and says, while it goes on, whether one of them looks
        synthesised. What it says is a reason to look closer. It proves nothing about anybody.
      </p>
      <Verdicts />
      <section aria-labelledby="score-title">
        <h2 id="score-title">What a score means</h2>
        <p>
          A score is a number from 0, which leans authentic, to 1, which leans synthesised. A score of
          0.20 means: by the model's own reckoning 20 in 100 faces that look like this to it are
          synthesised. It is smoothed over the last seconds, so one odd picture does not move it far.
        </p>
        <p>
          The bar beside it is the interval, such as 0.10 to 0.35. It is wide while little of the face
          has been seen, or while the picture is small, dark or blurred. A wide interval says: wait.
        </p>
        <p>
          Where a second look is switched on, a heavier model is shown a face now and then, and the page
          says whether it agrees. Then an incident is of high severity only when both find the face
          synthesised.
        </p>
      </section>
      <section aria-labelledby="models-title">
        <h2 id="models-title">How good the model is</h2>
        {problem && models === null && (
          <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
        )}
        {models === null && !problem && <p class="remark">Asking the analyzer for its models</p>}
        {models?.length === 0 && <p>No model scores anything here.</p>}
        {models?.map((one) => <ModelCard key={one.model.name} of={one} />)}
      </section>
      <section aria-labelledby="unseen-title">
        <h2 id="unseen-title">What is not seen</h2>
        <ul class="plain">
          <li>Voices. A cloned voice over an authentic face is not noticed.</li>
          <li>Anything without a face: bodies, objects, documents, screens shown in the video.</li>
          <li>
            Faces that are too small, dark, blurred or turned away. They get no verdict, and the page
            says which of these it is.
          </li>
          <li>Fakes of a kind that the model has not learned. They may well come out clear.</li>
          <li>Who somebody is. Faces are followed within one stream and never recognised.</li>
        </ul>
      </section>
      <section aria-labelledby="do-title">
        <h2 id="do-title">What to do when a face is suspect</h2>
        <ol class="plain">
          <li>Look yourself: at mouth, eyes, and where face and hair meet, while the person moves.</li>
          <li>Ask the person something that only they know, over another way: call them back.</li>
          <li>Improve the picture: more light, a larger face, a better connection. Then wait.</li>
          <li>Write down what you found, at the incident. It helps whoever judges it after you.</li>
        </ol>
      </section>
    </article>
  );
}

function Verdicts() {
  return (
    <section aria-labelledby="verdicts-title">
      <h2 id="verdicts-title">The four verdicts</h2>
      <dl class="verdicts">
        <div class="is-suspect">
          <dt>
            <ConditionIcon of="suspect" /> {VERDICTS.suspect}
          </dt>
          <dd>The face looks synthesised: its score has stayed high for a while.</dd>
        </div>
        <div class="is-clear">
          <dt>
            <ConditionIcon of="clear" /> {VERDICTS.clear}
          </dt>
          <dd>No sign of synthesis was found. That is not the same as authentic.</dd>
        </div>
        <div class="is-undecided">
          <dt>
            <ConditionIcon of="undecided" /> {VERDICTS.undecided}
          </dt>
          <dd>
            Enough was seen, but the score lies between the two thresholds, or so near even odds that the
            model is often wrong there.
          </dd>
        </div>
        <div class="is-hindered">
          <dt>
            <ConditionIcon of="hindered" /> None yet
          </dt>
          <dd>Too little was seen, or nothing that counts. The reason stands beside it.</dd>
        </div>
      </dl>
    </section>
  );
}

function ModelCard({ of: { model, figures } }: { of: ModelFigures }) {
  return (
    <div class="model-card">
      <h3>
        {model.name} {model.version} <span class="tag">{model.status}</span>
      </h3>
      <p>{limits(model)}</p>
      {figures ? <Figures figures={figures} /> : <p class="remark">Nothing was measured of these weights here.</p>}
    </div>
  );
}

function Figures({ figures }: { figures: FiguresView }) {
  const weak = weakKinds(figures.kinds);
  return (
    <>
      <p>{rankedWords(figures)}</p>
      {figures.once && <p>{onceWords(figures.once)}</p>}
      <p>{flaggedWords(figures)}</p>
      {weak.length > 0 && (
        <p>
          <strong>Hardly seen: </strong>
          {weak.map(({ kind, fakes }) => `${kindWords(kind)} (${fakes} clips)`).join(", ")}. Its figures for these
          are not clearly above chance.
        </p>
      )}
      <table>
        <caption>
          Measured on {figures.reals} real and {figures.fakes} fake clips, {figures.date}, in{" "}
          {precisionWords(figures.precision)}
        </caption>
        <thead>
          <tr>
            <th scope="col">Kind of fake</th>
            <th scope="col">Clips</th>
            <th scope="col">AUC</th>
            <th scope="col">95 % interval</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">All</th>
            <td>{figures.fakes}</td>
            <td>{number(figures.auc.value)}</td>
            <td>
              {number(figures.auc.low)} to {number(figures.auc.high)}
            </td>
          </tr>
          {figures.kinds.map(({ kind, fakes, auc }) => (
            <tr key={kind}>
              <th scope="row">{kindWords(kind)}</th>
              <td>{fakes}</td>
              <td>{number(auc.value)}</td>
              <td>
                {number(auc.low)} to {number(auc.high)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="remark">
        AUC is the share of pairs of a fake and a real clip in which the fake has the higher score: 1 is
        perfect, 0.5 is tossing a coin. Kinds with a handful of clips say little.
      </p>
    </>
  );
}
