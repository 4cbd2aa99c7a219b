// Which incidents are listed: what the address says, what is asked of the server, and whether an
// incident that the server tells of by itself belongs to them. Pure.

import type { IncidentData } from "../protocol";

export const STATUSES = ["open", "closed"] as const;
export const SEVERITIES = ["hint", "low", "medium", "high"] as const;
export const LABELS = ["true", "false", "unclear"] as const;

export type Severity = (typeof SEVERITIES)[number];
export type LabelWord = (typeof LABELS)[number];

/** What is wanted; an empty text wants all. */
export interface Filter {
  stream: string;
  status: "" | (typeof STATUSES)[number];
  severity: "" | Severity;
  label: "" | LabelWord;
  acknowledged: "" | "true" | "false";
  /** ISO 8601, as far as it is known; empty for no bound. */
  from: string;
  to: string;
}

export const EVERY: Filter = {
  stream: "",
  status: "",
  severity: "",
  label: "",
  acknowledged: "",
  from: "",
  to: "",
};

const KEYS = Object.keys(EVERY) as (keyof Filter)[];
const CLOSED: Partial<Record<keyof Filter, readonly string[]>> = {
  status: STATUSES,
  severity: SEVERITIES,
  label: LABELS,
  acknowledged: ["true", "false"],
};

/** Return the filter in an address; what is not understood is left out. */
export function filterOf(params: URLSearchParams): Filter {
  const found: Record<string, string> = { ...EVERY };
  for (const key of KEYS) {
    const value = params.get(key) ?? "";
    const words = CLOSED[key];
    const timely = key !== "from" && key !== "to" ? true : Number.isFinite(Date.parse(value));
    if (words ? words.includes(value) : timely) found[key] = value;
  }
  return found as unknown as Filter;
}

/** Return a filter as the query of an address and of a request. */
export function queryOf(filter: Filter): URLSearchParams {
  return new URLSearchParams(KEYS.filter((key) => filter[key] !== "").map((key) => [key, filter[key]]));
}

export function isEvery(filter: Filter): boolean {
  return KEYS.every((key) => filter[key] === "");
}

/** Say whether an incident is wanted; times bound its beginning. */
export function wants(filter: Filter, incident: IncidentData): boolean {
  const opened = Date.parse(incident.opened);
  return (
    (filter.stream === "" || filter.stream === incident.stream) &&
    (filter.status === "" || filter.status === incident.status) &&
    (filter.severity === "" || filter.severity === incident.severity) &&
    (filter.label === "" || filter.label === incident.label) &&
    (filter.acknowledged === "" || (filter.acknowledged === "true") === (incident.acknowledged !== null)) &&
    (filter.from === "" || opened >= Date.parse(filter.from)) &&
    (filter.to === "" || opened <= Date.parse(filter.to))
  );
}
