// Whether this browser tells of new incidents by a notification. The browser is asked on a click only.

import type { App } from "../app";
import { BellIcon } from "../icons";
import type { Consent } from "./notify";

const TITLES: Record<Consent, string> = {
  on: "This browser tells you when an incident opens that is more than a hint",
  off: "Have this browser tell you when an incident opens that is more than a hint",
  denied: "This browser does not allow it: change it in its settings for this page",
  unable: "Browsers do this only over HTTPS or on the machine itself",
};

export function Bell({ app }: { app: App }) {
  const { consent } = app.notifier;
  const able = consent === "on" || consent === "off";
  return (
    <button
      type="button"
      aria-pressed={consent === "on"}
      disabled={!able}
      title={TITLES[consent]}
      onClick={() => void app.notifier.turn(consent !== "on")}
    >
      <BellIcon /> {consent === "on" ? "Notifying you" : able ? "Notify me" : "No notifications here"}
    </button>
  );
}
