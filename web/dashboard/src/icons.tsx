// Shapes. Every condition has one of its own, so that colour is never the only difference.

import type { ComponentChildren } from "preact";
import type { Condition } from "./attention";

export function Shape({ children, label }: { children: ComponentChildren; label?: string }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.75"
      stroke-linecap="round"
      stroke-linejoin="round"
      {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" })}
    >
      {children}
    </svg>
  );
}

export function ConditionIcon({ of }: { of: Condition }) {
  switch (of) {
    case "suspect": // a filled triangle with an exclamation mark
      return (
        <Shape>
          <path d="M8 1.6 15 14.2H1Z" fill="currentColor" />
          <path d="M8 6.2v3.6M8 12v.1" class="knockout" />
        </Shape>
      );
    case "demo-suspect": // the same, but hollow
      return (
        <Shape>
          <path d="M8 1.9 14.6 13.9H1.4Z" stroke-dasharray="2.4 2.2" />
          <path d="M8 6.6v3M8 11.7v.1" />
        </Shape>
      );
    case "failed": // an octagon with a cross
      return (
        <Shape>
          <path d="M5.2 1.2h5.6l4 4v5.6l-4 4H5.2l-4-4V5.2Z" />
          <path d="m5.8 5.8 4.4 4.4m0-4.4-4.4 4.4" />
        </Shape>
      );
    case "lost": // a broken line
      return (
        <Shape>
          <path d="M1.2 8h3.4M11.4 8h3.4M6.4 4.6 7 11.4M9 4.6l.6 6.8" />
        </Shape>
      );
    case "connecting": // three dots
      return (
        <Shape>
          <path d="M3 8h.1M8 8h.1M13 8h.1" stroke-width="2.6" />
        </Shape>
      );
    case "hindered":
    case "untrained": // a dashed circle with a dash
      return (
        <Shape>
          <circle cx="8" cy="8" r="6.4" stroke-dasharray="2.6 2.4" />
          <path d="M5.4 8h5.2" />
        </Shape>
      );
    case "warming": // a circle that fills
      return (
        <Shape>
          <circle cx="8" cy="8" r="6.4" />
          <path d="M8 1.6a6.4 6.4 0 0 1 0 12.8Z" fill="currentColor" stroke="none" />
        </Shape>
      );
    case "clear": // a circle with a check mark
      return (
        <Shape>
          <circle cx="8" cy="8" r="6.4" />
          <path d="m5.2 8.2 2 2 3.6-4.2" />
        </Shape>
      );
    case "undecided": // a circle with a level beam
      return (
        <Shape>
          <circle cx="8" cy="8" r="6.2" />
          <path d="M5 8h6" />
        </Shape>
      );
    case "demo-clear": // a check mark, its circle dashed
      return (
        <Shape>
          <circle cx="8" cy="8" r="6.2" stroke-dasharray="2.4 2.2" />
          <path d="m5.2 8.2 2 2 3.6-4.2" />
        </Shape>
      );
    case "empty": // an outline of somebody
      return (
        <Shape>
          <circle cx="8" cy="5.4" r="2.8" stroke-dasharray="2 1.8" />
          <path d="M2.6 14.4c.6-3 2.6-4.4 5.4-4.4s4.8 1.4 5.4 4.4" stroke-dasharray="2.2 2" />
        </Shape>
      );
    case "ended": // a square
      return (
        <Shape>
          <rect x="3.4" y="3.4" width="9.2" height="9.2" rx="1" />
        </Shape>
      );
  }
}

export function CameraIcon() {
  return (
    <Shape>
      <rect x="1.2" y="3.8" width="9.6" height="8.4" rx="1.6" />
      <path d="m10.8 7 4-2v6l-4-2" />
    </Shape>
  );
}

export function TabIcon() {
  return (
    <Shape>
      <rect x="1.4" y="2.6" width="13.2" height="10.8" rx="1.6" />
      <path d="M1.4 6h13.2M4 4.3h.1M6.4 4.3h.1" />
    </Shape>
  );
}

export function PlusIcon() {
  return (
    <Shape>
      <path d="M8 2.6v10.8M2.6 8h10.8" />
    </Shape>
  );
}

export function BackIcon() {
  return (
    <Shape>
      <path d="M9.8 3 4.8 8l5 5" />
    </Shape>
  );
}

export function LinkIcon() {
  return (
    <Shape>
      <path d="M6.6 9.4 9.4 6.6M7.4 4.6l1.8-1.8a2.8 2.8 0 0 1 4 4L11.4 8.6M8.6 11.4l-1.8 1.8a2.8 2.8 0 0 1-4-4l1.8-1.8" />
    </Shape>
  );
}

export function MoonIcon() {
  return (
    <Shape>
      <path d="M13.6 9.8A6 6 0 1 1 6.2 2.4a4.8 4.8 0 0 0 7.4 7.4Z" />
    </Shape>
  );
}

export function BinIcon() {
  return (
    <Shape>
      <path d="M2.6 4.2h10.8M6.2 4V2.4h3.6V4M4 4.4l.6 9.2h6.8l.6-9.2M6.8 7v4M9.2 7v4" />
    </Shape>
  );
}

export function BellIcon() {
  return (
    <Shape>
      <path d="M3 11.6c1.2-1.2 1.4-2.4 1.4-4.6a3.6 3.6 0 0 1 7.2 0c0 2.2.2 3.4 1.4 4.6ZM6.6 13.8a1.5 1.5 0 0 0 2.8 0" />
    </Shape>
  );
}

export function CheckIcon() {
  return (
    <Shape>
      <path d="m2.8 8.6 3.4 3.4 7-7.6" />
    </Shape>
  );
}

export function FileIcon() {
  return (
    <Shape>
      <path d="M8 2v7.6M4.8 6.8 8 10l3.2-3.2M2.8 13.4h10.4" />
    </Shape>
  );
}

export function WindowIcon() {
  return (
    <Shape>
      <path d="M14.4 7V3.6a1 1 0 0 0-1-1H2.6a1 1 0 0 0-1 1v8.8a1 1 0 0 0 1 1h3.6" />
      <rect x="8.4" y="9" width="6" height="4.8" rx="0.8" />
    </Shape>
  );
}

export function FullScreenIcon() {
  return (
    <Shape>
      <path d="M2.6 6V2.6H6M10 2.6h3.4V6M13.4 10v3.4H10M6 13.4H2.6V10" />
    </Shape>
  );
}

export function SoundIcon({ on }: { on: boolean }) {
  return (
    <Shape>
      <path d="M2 6.2v3.6h2.6L8 12.8V3.2L4.6 6.2Z" />
      {on ? <path d="M10.6 5.6a3.4 3.4 0 0 1 0 4.8M12.6 3.6a6.2 6.2 0 0 1 0 8.8" /> : <path d="m11 6 3.6 4M14.6 6 11 10" />}
    </Shape>
  );
}

export function CopyIcon() {
  return (
    <Shape>
      <rect x="5.4" y="5.4" width="8.8" height="8.8" rx="1.4" />
      <path d="M10.6 3.2v-.4a1 1 0 0 0-1-1H2.8a1 1 0 0 0-1 1v6.8a1 1 0 0 0 1 1h.4" />
    </Shape>
  );
}

export function PenIcon() {
  return (
    <Shape>
      <path d="m3 13 .6-2.8 7.2-7.2a1.6 1.6 0 0 1 2.2 2.2l-7.2 7.2ZM9.6 4.2l2.2 2.2" />
    </Shape>
  );
}
