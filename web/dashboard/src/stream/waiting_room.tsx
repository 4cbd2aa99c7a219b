// A stream that nobody sends yet: where to call it, to copy and as a QR code for a phone.

import { useMemo, useState } from "preact/hooks";
import { encode } from "uqr";
import { copy } from "../clipboard";
import { CopyIcon } from "../icons";
import { ROOT } from "../root";
import "./waiting_room.css";

/** Where a WHIP program sends a stream. */
export function whipAddress(id: string, root: URL = ROOT): string {
  return new URL(`whip/${encodeURIComponent(id)}`, root).href;
}

/** Whether an address is of use on this machine only. */
export function isLocal({ hostname }: { hostname: string }): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);
}

interface Props {
  stream: string;
  /** A call was there before and is over. */
  again: boolean;
}

export function WaitingRoom({ stream, again }: Props) {
  const address = whipAddress(stream);
  const [said, setSaid] = useState("Copy address");
  async function take() {
    setSaid((await copy(address)) ? "Copied" : "Select it and copy");
    setTimeout(() => setSaid("Copy address"), 2_500);
  }
  return (
    <section class={again ? "waiting-room again" : "waiting-room"} aria-labelledby="waiting-title">
      <div>
        <h2 id="waiting-title">{again ? "Waiting for another call" : "Waiting for a call"}</h2>
        <p>
          Send video to this address with any program that speaks WHIP (OBS Studio: Settings, Stream,
          Service WHIP).
        </p>
        <p class="whip-address">
          <code>{address}</code>
          <button type="button" onClick={() => void take()}>
            <CopyIcon /> <span aria-live="polite">{said}</span>
          </button>
        </p>
        <p class="remark">
          {isLocal(new URL(address))
            ? "It works on this machine only: open this page under the machine's own name for an address that others reach."
            : "Where tokens are configured, the caller needs one of the role publisher."}
        </p>
      </div>
      <QrCode text={address} label="QR code of the address" />
    </section>
  );
}

/** A text as a QR code, black on white in both colour schemes, as scanners want it. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => drawn(text), [text]);
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

/** A QR code as one path of squares, with the four empty modules around it that the standard asks for. */
export function drawn(text: string): { size: number; path: string } {
  const { size, data } = encode(text, { ecc: "M", border: 4 });
  const squares = data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return { size, path: squares.join("") };
}
