// What can be done from a stream's page: go back to the wall, copy its link, remove it.

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api";
import type { App } from "../app";
import { copy } from "../clipboard";
import { BackIcon, BinIcon, LinkIcon } from "../icons";
import { address, type StreamRoute } from "../route";
import type { Stream } from "../streams";
import "./actions.css";

export function Back({ app }: { app: App }) {
  return (
    <a
      class="back"
      href={address({ page: "wall" })}
      onClick={(click) => {
        if (click.metaKey || click.ctrlKey || click.shiftKey) return;
        click.preventDefault();
        app.go({ page: "wall" });
      }}
    >
      <BackIcon /> All streams
    </a>
  );
}

export function Share({ route }: { route: StreamRoute }) {
  const [said, setSaid] = useState("Copy link");
  const link = location.origin + address(route);
  async function share() {
    setSaid((await copy(link)) ? "Link copied" : "See the address bar");
    setTimeout(() => setSaid("Copy link"), 2_500);
  }
  return (
    <button type="button" class="share" onClick={() => void share()}>
      <LinkIcon />
      <span aria-live="polite">{said}</span>
    </button>
  );
}

interface RemoveProps {
  app: App;
  stream: Stream;
  onRefused: (problem: Problem) => void;
}

export function Remove({ app, stream, onRefused }: RemoveProps) {
  const [sure, setSure] = useState(false);
  useEffect(() => {
    if (!sure) return;
    const timer = setTimeout(() => setSure(false), 4_000);
    const disarm = (key: KeyboardEvent) => key.key === "Escape" && setSure(false);
    addEventListener("keydown", disarm);
    return () => {
      clearTimeout(timer);
      removeEventListener("keydown", disarm);
    };
  }, [sure]);
  async function remove() {
    if (!sure) {
      setSure(true);
      return;
    }
    const own = app.publisher?.sending.id === stream.id;
    if (own) await app.publisher?.stop();
    try {
      await app.api.removeStream(stream.id);
    } catch (error) {
      const problem = asProblem(error);
      // Who may only call cannot remove either, but the call is over and its stream goes with it.
      if (!own && problem.status !== 404) {
        setSure(false);
        onRefused(problem);
        return;
      }
    }
    app.go({ page: "wall" });
  }
  return (
    <button
      type="button"
      class={sure ? "danger" : ""}
      onClick={() => void remove()}
      onBlur={() => setSure(false)}
      onKeyDown={({ key }) => key === "Escape" && setSure(false)}
    >
      <BinIcon /> {sure ? "Really remove?" : "Remove"}
    </button>
  );
}
