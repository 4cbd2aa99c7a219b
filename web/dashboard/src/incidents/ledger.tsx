// What people said of an incident, and who did what to it.

import { useId, useState } from "preact/hooks";
import { moment, sentence } from "../words";
import type { AuditData, NoteData } from "./wire";

interface NotesProps {
  notes: readonly NoteData[];
  now: number;
  /** Null for who may only read. */
  onAdd: ((text: string) => Promise<boolean>) | null;
}

export function Notes({ notes, now, onAdd }: NotesProps) {
  const field = useId();
  const [text, setText] = useState("");
  const [sending, setSending] = useState(false);

  async function submit(event: Event) {
    event.preventDefault();
    const note = text.trim();
    if (note === "" || onAdd === null) return;
    setSending(true);
    if (await onAdd(note)) setText("");
    setSending(false);
  }

  return (
    <section class="panel ledger" aria-labelledby="notes-title">
      <div class="panel-head">
        <h2 id="notes-title">Notes</h2>
      </div>
      {notes.length === 0 && <p class="quiet">Nobody has written anything yet</p>}
      <ol>
        {notes.map((note) => (
          <li key={`${note.at} ${note.by} ${note.text}`}>
            <p>{note.text}</p>
            <p class="quiet">
              {note.by}, {moment(Date.parse(note.at), now)}
            </p>
          </li>
        ))}
      </ol>
      {onAdd && (
        <form onSubmit={submit}>
          <label for={field}>Add a note</label>
          <textarea
            id={field}
            rows={2}
            maxLength={2000}
            value={text}
            onInput={(at) => setText(at.currentTarget.value)}
          />
          <button type="submit" disabled={sending || text.trim() === ""}>
            Add
          </button>
        </form>
      )}
    </section>
  );
}

export function Audit({ entries, now }: { entries: readonly AuditData[]; now: number }) {
  return (
    <section class="panel ledger" aria-labelledby="audit-title">
      <div class="panel-head">
        <h2 id="audit-title">Who did what</h2>
      </div>
      {entries.length === 0 && <p class="quiet">Nobody has done anything yet</p>}
      <ol tabIndex={0} aria-labelledby="audit-title">
        {entries.map((entry) => (
          <li key={entry.number}>
            <p>
              <span class="quiet">{entry.number}</span> {sentence(entry.action.replace(/[._]/g, " "))}
              {said(entry.detail) && `: ${said(entry.detail)}`}
            </p>
            <p class="quiet">
              {entry.by || "the analyzer"}, {moment(Date.parse(entry.at), now)}
              <code title={entry.hash}>{entry.hash.slice(0, 12)}</code>
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** The detail of an entry on one line: `label true`. */
export function said(detail: unknown): string {
  if (detail === null || typeof detail !== "object") return detail === null ? "" : String(detail ?? "");
  return Object.entries(detail)
    .map(([key, value]) => `${key.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ");
}
