// The three ways to have something analyzed, and the form for the third.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { App } from "./app";
import { examine, suggestId } from "./address";
import { asProblem, type Problem } from "./api";
import { MAX_NAME, tagsFault, tagsOf } from "./naming";
import { CameraIcon, PlusIcon, TabIcon } from "./icons";
import type { Transport } from "./protocol";
import { labelled, ProblemText } from "./problem";
import "./dialog.css";
import "./start.css";

/** What the fields are called here, by their names in a request. */
const LABELS = {
  "source.url": "Address",
  name: "Name",
  id: "Name",
  "source.transport": "Transport",
  "source.tls_verify": "Check the certificate",
};

interface StartersProps {
  app: App;
  onAdd: () => void;
  large?: boolean;
}

export function Starters({ app, onAdd, large = false }: StartersProps) {
  const phase = app.publisher?.sending.phase;
  const busy = phase !== undefined && phase !== "failed";
  if (!app.mayControl && !app.mayPublish) return null;
  return (
    <div class={large ? "starters large" : "starters"}>
      {app.mayPublish && (
        <>
          <button
            type="button"
            class={large ? "primary" : ""}
            disabled={busy}
            onClick={() => app.publish("camera")}
          >
            <CameraIcon /> <Label long="Analyze my camera" short="Camera" />
          </button>
          <button type="button" disabled={busy} onClick={() => app.publish("tab")}>
            <TabIcon /> <Label long="Analyze a tab" short="Tab" />
          </button>
        </>
      )}
      {app.mayControl && (
        <button type="button" onClick={onAdd}>
          <PlusIcon /> <Label long="Add a camera" short="Add" />
        </button>
      )}
    </div>
  );
}

/** A label that is shorter on a phone; its name stays the same. */
function Label({ long, short }: { long: string; short: string }) {
  return (
    <>
      <span class="long">{long}</span>
      <span class="short" aria-hidden="true">
        {short}
      </span>
    </>
  );
}

export function AddCamera({ app, onClose }: { app: App; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useId();
  const [url, setUrl] = useState("");
  const [name, setName] = useState("");
  const [tags, setTags] = useState("");
  const [transport, setTransport] = useState<Transport>("auto");
  const [verify, setVerify] = useState(true);
  const [tried, setTried] = useState(false);
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const finding = examine(url);
  const complaint = tried && finding.fault !== "" ? finding : null;

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  async function submit(event: Event) {
    event.preventDefault();
    setTried(true);
    setProblem(null);
    if (finding.fault !== "" || tagsFault(tagsOf(tags)) !== "") return;
    setSending(true);
    const id = suggestId(url, name, new Set(app.streams.all.keys()));
    try {
      await app.api.addStream({
        id,
        name: name.trim(),
        tags: tagsOf(tags),
        source: { url: url.trim(), transport, tls_verify: verify },
      });
      onClose();
      app.go({ page: "stream", id, from: null, to: null });
    } catch (error) {
      setProblem(asProblem(error));
      setSending(false);
    }
  }

  return (
    <dialog ref={dialog} class="dialog" onClose={onClose} aria-labelledby={`${field}-title`}>
      <form method="dialog" onSubmit={submit} noValidate>
        <h2 id={`${field}-title`}>Add a camera</h2>
        <label for={`${field}-url`}>Address</label>
        <input
          id={`${field}-url`}
          name="url"
          value={url}
          onInput={(at) => {
            setUrl(at.currentTarget.value);
            setProblem(null);
          }}
          placeholder="rtsp://user:password@192.0.2.7/stream1"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-invalid={complaint !== null || problem !== null}
          aria-describedby={`${field}-said`}
        />
        <div class="said" id={`${field}-said`} role="alert">
          {complaint ? (
            <ProblemText title={complaint.fault} hint={complaint.hint} />
          ) : problem ? (
            <ProblemText
              title={problem.title}
              detail={problem.detail}
              hint={problem.hint}
              faults={labelled(problem.faults, LABELS)}
            />
          ) : (
            <p class="remark">{finding.fault === "" ? finding.remark : ""}</p>
          )}
        </div>
        <label for={`${field}-name`}>
          Name <span class="optional">optional</span>
        </label>
        <input
          id={`${field}-name`}
          value={name}
          maxLength={MAX_NAME}
          onInput={(at) => setName(at.currentTarget.value)}
          placeholder="Lobby"
          autocomplete="off"
        />
        <label for={`${field}-tags`}>
          Tags <span class="optional">optional, divided by commas</span>
        </label>
        <input
          id={`${field}-tags`}
          value={tags}
          onInput={(at) => setTags(at.currentTarget.value)}
          aria-invalid={tagsFault(tagsOf(tags)) !== ""}
          aria-describedby={`${field}-tags-said`}
          placeholder="Berlin, doors"
          autocomplete="off"
        />
        <p class="remark" id={`${field}-tags-said`}>
          {tagsFault(tagsOf(tags))}
        </p>
        <details>
          <summary>Connection</summary>
          <label for={`${field}-transport`}>Transport</label>
          <select
            id={`${field}-transport`}
            value={transport}
            onChange={(at) => setTransport(at.currentTarget.value as Transport)}
          >
            <option value="auto">TCP, then UDP</option>
            <option value="tcp">TCP only</option>
            <option value="udp">UDP only</option>
          </select>
          <label class="check">
            <input
              type="checkbox"
              checked={verify}
              onChange={(at) => setVerify(at.currentTarget.checked)}
            />
            Check the certificate (rtsps)
          </label>
        </details>
        <footer>
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={sending}>
            {sending ? "Adding" : "Add"}
          </button>
        </footer>
      </form>
    </dialog>
  );
}
