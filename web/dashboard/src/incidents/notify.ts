// Tells of a new incident outside the page: a notification of the browser, for who asked for it. The
// browser is handed in.

import type { IncidentChangedData, IncidentData } from "../protocol";

export type Consent = "unable" | "off" | "on" | "denied";

export interface Herald {
  /** Whether this browser can, here: only over HTTPS or on the machine itself. */
  able: boolean;
  permission(): NotificationPermission;
  ask(): Promise<NotificationPermission>;
  say(title: string, body: string, tag: string, clicked: () => void): void;
  wish: { get(): boolean; set(on: boolean): void };
}

const MOST_TOLD = 500;

export class Notifier {
  private readonly told = new Set<string>();

  constructor(
    private readonly herald: Herald,
    private readonly words: (incident: IncidentData) => { title: string; body: string },
    private readonly open: (id: string) => void,
    private readonly changed: () => void,
  ) {}

  get consent(): Consent {
    if (!this.herald.able) return "unable";
    const permission = this.herald.permission();
    if (permission === "denied") return "denied";
    return permission === "granted" && this.herald.wish.get() ? "on" : "off";
  }

  /** Turn notifications on, which only a click may, or off. */
  async turn(on: boolean): Promise<void> {
    if (on && this.herald.permission() === "default") await this.herald.ask();
    this.herald.wish.set(on);
    this.changed();
  }

  /** Tell of an incident once, when it is or becomes more than a hint. */
  take({ step, incident }: IncidentChangedData): void {
    if ((step !== "opened" && step !== "extended") || incident.severity === "hint") return;
    if (this.told.has(incident.id)) return;
    this.told.add(incident.id);
    for (const oldest of this.told) {
      if (this.told.size <= MOST_TOLD) break;
      this.told.delete(oldest);
    }
    if (this.consent !== "on") return;
    const { title, body } = this.words(incident);
    this.herald.say(title, body, incident.id, () => this.open(incident.id));
  }
}

const WISH_KEY = "notify";

/** The browser that the page runs in; `icon` is the address of a picture. */
export function realHerald(icon: string): Herald {
  return {
    able: "Notification" in globalThis && isSecureContext,
    permission: () => Notification.permission,
    ask: () => Notification.requestPermission(),
    say: (title, body, tag, clicked) => {
      const shown = new Notification(title, { body, tag, icon });
      shown.onclick = () => {
        focus();
        clicked();
        shown.close();
      };
    },
    wish: {
      get: () => localStorage.getItem(WISH_KEY) === "on",
      set: (on) => localStorage.setItem(WISH_KEY, on ? "on" : "off"),
    },
  };
}
