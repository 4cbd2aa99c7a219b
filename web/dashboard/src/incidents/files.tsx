// What can be taken away: the report for people, the evidence for others to check.

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { FileIcon } from "../icons";
import type { IncidentData } from "../protocol";
import { bytes, EVIDENCE_WORDS, moment } from "../words";
import { Fact } from "./facts";
import { type Part, pathOf, save } from "./media";
import type { EvidenceKey } from "./wire";

interface Props {
  app: App;
  incident: IncidentData;
  onRefused: (problem: Problem) => void;
}

export function Files({ app, incident, onRefused }: Props) {
  const { id, evidence } = incident;
  const [key, setKey] = useState<EvidenceKey | null>(null);
  const kept = evidence.state === "kept";
  useEffect(() => {
    if (kept) app.api.evidenceKey().then(setKey, () => setKey(null));
  }, [app, kept]);

  const take = (part: Part, name: string) =>
    void save(app, pathOf(id, part), name).catch((error) => onRefused(asProblem(error)));

  return (
    <div class="files">
      <p class="take">
        <button type="button" onClick={() => take("report", `incident-${id}.html`)}>
          <FileIcon /> Report
        </button>
        <button type="button" onClick={() => take("evidence.zip", `incident-${id}.zip`)}>
          <FileIcon /> Evidence (zip)
        </button>
        {kept && (
          <button type="button" onClick={() => take("clip", `incident-${id}.mp4`)}>
            <FileIcon /> Clip
          </button>
        )}
      </p>
      <dl>
        <Fact name="Video">
          {EVIDENCE_WORDS[evidence.state]}
          {kept && `, ${bytes(evidence.bytes)}`}
        </Fact>
        {evidence.start !== null && evidence.end !== null && (
          <Fact name="From, to">
            {moment(Date.parse(evidence.start), Date.parse(evidence.end))},{" "}
            {moment(Date.parse(evidence.end), Date.parse(evidence.end))}
          </Fact>
        )}
        {evidence.sha256 && (
          <Fact name="SHA-256">
            <code>{evidence.sha256}</code>
          </Fact>
        )}
        {key && (
          <Fact name="Signed by">
            <code>{key.fingerprint}</code>
          </Fact>
        )}
      </dl>
    </div>
  );
}
