// A text that is changed where it stands: a click begins, Enter saves, Escape leaves it as it was.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { asProblem } from "./api";
import { PenIcon } from "./icons";
import "./in-place.css";

interface Props {
  /** What is changed, for who cannot see it. */
  label: string;
  /** What is edited. */
  value: string;
  placeholder: string;
  /** Says what is wrong with a text; empty when nothing is. */
  fault: (text: string) => string;
  /** Raises when it is refused. */
  save: (text: string) => Promise<void>;
  /** What stands there while it is not changed; a click on it begins. */
  children?: ComponentChildren;
}

export function InPlace({ label, value, placeholder, fault, save, children }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  const [refused, setRefused] = useState("");
  const [sending, setSending] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const editing = draft !== null;

  useEffect(() => {
    if (editing) field.current?.select();
  }, [editing]);

  function leave() {
    setDraft(null);
    setRefused("");
    // The button is there again once this is drawn.
    requestAnimationFrame(() => button.current?.focus());
  }

  async function submit(event: Event) {
    event.preventDefault();
    if (draft === null || fault(draft) !== "" || sending) return;
    if (draft.trim() === value) return leave();
    setSending(true);
    try {
      await save(draft.trim());
      leave();
    } catch (error) {
      const { title, detail } = asProblem(error);
      setRefused(`${title}: ${detail}`);
    } finally {
      setSending(false);
    }
  }

  if (draft === null) {
    return (
      <>
        {children && (
          <div class="begins" title={label} onClick={() => setDraft(value)}>
            {children}
          </div>
        )}
        <button
          ref={button}
          type="button"
          class="pen"
          aria-label={label}
          title={label}
          onClick={() => setDraft(value)}
        >
          <PenIcon />
        </button>
      </>
    );
  }
  const wrong = fault(draft) || refused;
  return (
    <form class="in-place" onSubmit={(event) => void submit(event)}>
      <div class="visually-hidden">{children}</div>
      <input
        ref={field}
        aria-label={label}
        aria-invalid={wrong !== ""}
        value={draft}
        placeholder={placeholder}
        autocomplete="off"
        onInput={(at) => {
          setDraft(at.currentTarget.value);
          setRefused("");
        }}
        onKeyDown={(key) => {
          if (key.key !== "Escape") return;
          key.stopPropagation();
          leave();
        }}
        onBlur={(at) => {
          if (!at.currentTarget.form?.contains(at.relatedTarget as Node | null) && !sending) setDraft(null);
        }}
      />
      <p class={wrong ? "wrong" : "remark"} role={wrong ? "alert" : undefined}>
        {wrong || "Enter saves, Escape leaves"}
      </p>
    </form>
  );
}
