// The baseline of a stream: which it is, whether it is used, and the button that makes one.

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { ProblemText } from "../problem";
import type { BaselineData, BaselineView } from "../protocol";
import { baselineName, baselineState, enough, noneWords, recentWords } from "./words";
import "./panel.css";

const AGAIN_MS = 10_000;

interface Props {
  app: App;
  stream: string;
  /** What the stream's newest status says of it. */
  mark: BaselineData | null;
}

export function BaselinePanel({ app, stream, mark }: Props) {
  const [view, setView] = useState<BaselineView | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);

  const look = () =>
    app.api.baseline(stream).then(setView, () => setView(null));
  useEffect(() => {
    void look();
    const timer = setInterval(() => void look(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [app, stream, mark?.made]);

  async function change(work: Promise<void>) {
    setBusy(true);
    setProblem(null);
    try {
      await work;
    } catch (error) {
      setProblem(asProblem(error));
    }
    await look();
    setBusy(false);
  }

  const kept = view?.baseline ?? null;
  if (!view || (kept === null && !app.mayControl)) return null;
  return (
    <section class="panel baseline" aria-labelledby="baseline-title">
      <div class="panel-head">
        <h2 id="baseline-title">{kept ? baselineName(kept) : "Baseline"}</h2>
      </div>
      {kept ? (
        <>
          {mark && <p class={`baseline-state is-${mark.state}`}>{baselineState(mark)}</p>}
          <p class="quiet">
            Of {kept.source}, says {kept.by}; holds until {kept.expires.slice(0, 10)}.
          </p>
          {kept.advice && <p>Note: {kept.advice}.</p>}
        </>
      ) : (
        <p class="quiet">
          {noneWords(view)}
        </p>
      )}
      {problem && (
        <div role="alert">
          <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
        </div>
      )}
      {app.mayControl && (
        <div class="baseline-actions">
          <p class="quiet">{recentWords(view)}</p>
          <button
            type="button"
            disabled={busy || !enough(view)}
            onClick={() => void change(app.api.addBaseline(stream, { minutes: 10 }))}
          >
            These ten minutes were real
          </button>
          {kept && (
            <button type="button" disabled={busy} onClick={() => void change(app.api.removeBaseline(stream))}>
              Remove the baseline
            </button>
          )}
        </div>
      )}
    </section>
  );
}
