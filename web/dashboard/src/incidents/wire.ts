// Bodies of the requests about incidents, as docs/protocol.md describes them.

import type { IncidentData, Label } from "../protocol";

export interface IncidentPage {
  incidents: IncidentData[];
  /** Where the next page begins; null at the end. */
  next: string | null;
}

export interface NoteData {
  at: string;
  by: string;
  text: string;
}

export interface AuditData {
  number: number;
  at: string;
  by: string;
  action: string;
  detail: unknown;
  hash: string;
}

export interface IncidentView {
  incident: IncidentData;
  notes: NoteData[];
  audit: AuditData[];
}

export interface IncidentChange {
  acknowledged?: boolean;
  label?: Label | null;
  note?: string;
}

export interface SnoozeData {
  stream: string;
  reason: string;
  by: string;
  at: string;
  until: string;
}

export interface SnoozeBody {
  reason: string;
  minutes: number;
}

export interface EvidenceKey {
  public_key: string;
  fingerprint: string;
}
