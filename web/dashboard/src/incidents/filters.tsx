// What the list is narrowed to. It stands in the address, so a link shows the same.

import type { App } from "../app";
import { LABEL_WORDS, SEVERITY_WORDS } from "../words";
import { EVERY, type Filter, isEvery, LABELS, SEVERITIES } from "./filter";

const SPANS = [
  { label: "Any time", hours: 0 },
  { label: "Last hour", hours: 1 },
  { label: "Last 12 hours", hours: 12 },
  { label: "Last 24 hours", hours: 24 },
  { label: "Last 7 days", hours: 168 },
  { label: "Last 30 days", hours: 720 },
];
const HOUR_MS = 3_600_000;

export function Filters({ app, filter }: { app: App; filter: Filter }) {
  const set = (change: Partial<Filter>) =>
    app.go({ page: "incidents", filter: { ...filter, ...change } }, true);
  const streams = [...app.streams.all.values()].map(({ id, name }) => ({ id, name }));
  if (filter.stream && !streams.some(({ id }) => id === filter.stream)) {
    streams.push({ id: filter.stream, name: filter.stream });
  }
  const own = filter.to !== "" || (filter.from !== "" && spanOf(filter.from) === null);
  return (
    <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="Stream"
        value={filter.stream}
        options={[["", "All streams"], ...streams.map(({ id, name }): [string, string] => [id, name])]}
        onChoose={(stream) => set({ stream })}
      />
      <Choice
        label="Time"
        value={own ? "own" : String(filter.from === "" ? 0 : (spanOf(filter.from) ?? 0))}
        options={[
          ...SPANS.map(({ label, hours }): [string, string] => [String(hours), label]),
          ["own", "From and to"],
        ]}
        onChoose={(span) => {
          if (span === "own") set({ from: filter.from || since(24), to: filter.to || since(0) });
          else set({ from: span === "0" ? "" : since(Number(span)), to: "" });
        }}
      />
      {own && (
        <>
          <Moment label="From" value={filter.from} onChoose={(from) => set({ from })} />
          <Moment label="To" value={filter.to} onChoose={(to) => set({ to })} />
        </>
      )}
      <Choice
        label="Status"
        value={filter.status}
        options={[["", "Open and closed"], ["open", "Open"], ["closed", "Closed"]]}
        onChoose={(status) => set({ status: status as Filter["status"] })}
      />
      <Choice
        label="Acknowledged"
        value={filter.acknowledged}
        options={[["", "Any"], ["false", "By nobody"], ["true", "By somebody"]]}
        onChoose={(acknowledged) => set({ acknowledged: acknowledged as Filter["acknowledged"] })}
      />
      <Choice
        label="Severity"
        value={filter.severity}
        options={[["", "Any"], ...[...SEVERITIES].reverse().map((one): [string, string] => [one, SEVERITY_WORDS[one]])]}
        onChoose={(severity) => set({ severity: severity as Filter["severity"] })}
      />
      <Choice
        label="Label"
        value={filter.label}
        options={[["", "Any"], ...LABELS.map((one): [string, string] => [one, LABEL_WORDS[one]])]}
        onChoose={(label) => set({ label: label as Filter["label"] })}
      />
      {!isEvery(filter) && (
        <button type="button" onClick={() => set(EVERY)}>
          Show all
        </button>
      )}
    </form>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  options: [string, string][];
  onChoose: (value: string) => void;
}

function Choice({ label, value, options, onChoose }: ChoiceProps) {
  return (
    <label class={value === "" || value === "0" ? "" : "set"}>
      <span>{label}</span>
      <select value={value} onChange={(at) => onChoose(at.currentTarget.value)}>
        {options.map(([key, words]) => (
          <option key={key} value={key}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

function Moment({ label, value, onChoose }: Omit<ChoiceProps, "options">) {
  return (
    <label>
      <span>{label}</span>
      <input
        type="datetime-local"
        value={value === "" ? "" : local(Date.parse(value))}
        onChange={(at) => {
          const t = Date.parse(at.currentTarget.value);
          onChoose(Number.isFinite(t) ? iso(t) : "");
        }}
      />
    </label>
  );
}

/** The hours of the choice that began then, give or take; a link that is older shows its own time. */
function spanOf(from: string): number | null {
  const hours = (Date.now() - Date.parse(from)) / HOUR_MS;
  return SPANS.find((span) => span.hours > 0 && Math.abs(hours - span.hours) <= span.hours * 0.2)?.hours ?? null;
}

function since(hours: number): string {
  return iso(Date.now() - hours * HOUR_MS);
}

function iso(t: number): string {
  return new Date(Math.floor(t / 60_000) * 60_000).toISOString().replace(":00.000Z", ":00Z");
}

/** A moment as the field wants it: local time without a zone. */
function local(t: number): string {
  return new Date(t - new Date(t).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
