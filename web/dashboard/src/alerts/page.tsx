// Who is told of what: the rules of alerts, and the channels that their messages go through.

import { useCallback, useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import { type App, useApp, useNow } from "../app";
import { PlusIcon } from "../icons";
import { ProblemText } from "../problem";
import type { AlertsView } from "../protocol";
import { useTitle } from "../title";
import { Channels } from "./channels";
import { RuleForm } from "./form";
import { RuleRow } from "./rule";
import type { Rule } from "./rules";
import "../stream/panel.css";
import "../incidents/list.css";
import "./alerts.css";

const EVERY_MS = 3_000;

export function AlertsPage({ app }: { app: App }) {
  useApp(app);
  const now = useNow(1_000) + app.streams.skew;
  const { view, problem, ask } = useAlerts(app);
  const [edited, edit] = useState<Rule | "new" | null>(null);
  useTitle(app, "Alerts");
  const rules = (view?.rules ?? []) as Rule[];
  const channels = view?.channels ?? [];
  return (
    <section class="alerts" aria-labelledby="alerts-title">
      <header class="incidents-head">
        <h1 id="alerts-title">Alerts</h1>
        <p class="quiet">Who is told of which incidents, and how</p>
        {app.mayControl && view && channels.length > 0 && (
          <div class="tools">
            <button type="button" class="primary" onClick={() => edit("new")}>
              <PlusIcon /> New rule
            </button>
          </div>
        )}
      </header>
      {!view && !problem && <p class="waiting">Looking for rules</p>}
      {problem && <Trouble problem={problem} known={view !== null} onAgain={ask} />}
      {view && (
        <div class="alerts-columns">
          <section class="panel" aria-labelledby="rules-title">
            <div class="panel-head">
              <h2 id="rules-title">Rules</h2>
            </div>
            {rules.some(({ origin }) => origin === "configuration") && (
              <p class="quiet said-once">Rules from the configuration are changed there: alerts.rules.</p>
            )}
            {rules.length === 0 && <NoRules channels={channels.length} mayControl={app.mayControl} />}
            <ul class="rules">
              {rules.map((rule) => (
                <RuleRow key={rule.name} app={app} rule={rule} onEdit={() => edit(rule)} onChanged={ask} />
              ))}
            </ul>
          </section>
          <section class="panel" aria-labelledby="channels-title">
            <div class="panel-head">
              <h2 id="channels-title">Channels</h2>
            </div>
            <p class="quiet said-once">
              {channels.length === 0
                ? "None is configured: add a webhook, MQTT, e-mail or Apprise under alerts.channels, and start the analyzer again."
                : "They are set in the configuration: alerts.channels. Counted since the analyzer started."}
            </p>
            <Channels channels={channels} now={now} />
          </section>
        </div>
      )}
      {edited && (
        <RuleForm
          app={app}
          rule={edited === "new" ? null : edited}
          taken={edited === "new" ? rules.map(({ name }) => name) : []}
          channels={channels.map(({ name }) => name)}
          onClose={() => edit(null)}
          onSaved={ask}
        />
      )}
    </section>
  );
}

/** Rules and channels, asked for anew while somebody looks. */
function useAlerts(app: App) {
  const [view, setView] = useState<AlertsView | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asked, again] = useState(0);
  const live = app.live.link.phase === "live";
  const ask = useCallback(() => again((count) => count + 1), []);
  useEffect(() => {
    let current = true;
    const look = () => {
      if (document.hidden) return;
      app.api.alerts().then(
        (found) => {
          if (!current) return;
          setView(found);
          setProblem(null);
        },
        (error) => current && setProblem(asProblem(error)),
      );
    };
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [app, asked, live]);
  return { view, problem, ask };
}

function Trouble({ problem, known, onAgain }: { problem: Problem; known: boolean; onAgain: () => void }) {
  if (problem.status === 404) {
    return (
      <div class="empty">
        <h2>This analyzer sends no alerts</h2>
        <p>Incidents are turned off in its configuration, and alerts tell of incidents.</p>
      </div>
    );
  }
  if (known && problem.status === 0) return null; // the bar says that there is no connection
  return (
    <div class="panel" role="alert">
      <ProblemText title={problem.title} detail={problem.detail} hint={problem.hint} />
      <button type="button" onClick={onAgain}>
        Try again
      </button>
    </div>
  );
}

function NoRules({ channels, mayControl }: { channels: number; mayControl: boolean }) {
  return (
    <p class="quiet">
      Nobody is told of anything yet.
      {channels === 0
        ? " A rule needs a channel to send through."
        : mayControl
          ? " Make a rule, and send a test."
          : " Whoever may change things here can make a rule."}
    </p>
  );
}
