// A small window beside the page: always on top where the browser can (Document Picture-in-Picture),
// an ordinary pop-up where it cannot. What it shows is drawn by this page, with its own components;
// the browser is handed in.

export type Opened = "floating" | "popup" | "blocked";

/** What a browser can do about small windows. */
export interface Shop {
  /** Open one that stays on top; null where the browser has none, or does not let us. */
  float(width: number, height: number): Promise<Window | null>;
  /** Open an ordinary one; null when the browser blocks it. */
  pop(width: number, height: number): Window | null;
}

const WIDTH = 340;
const HEIGHT = 400;

export class SmallWindow {
  /** The window, while it is open. */
  window: Window | null = null;
  /** The last attempt was blocked by the browser. */
  blocked = false;
  private opening = false;

  constructor(
    private readonly shop: Shop,
    private readonly changed: () => void,
  ) {}

  /** Open it and have `draw` fill its body; `draw` returns what empties it again. */
  async open(title: string, draw: (body: HTMLElement, at: Window) => () => void): Promise<Opened> {
    if (this.opening) return "blocked";
    this.close();
    this.opening = true;
    this.blocked = false;
    let how: Opened = "floating";
    let at: Window | null;
    try {
      at = await this.shop.float(WIDTH, HEIGHT);
      if (at === null) {
        how = "popup";
        at = this.shop.pop(WIDTH, HEIGHT);
      }
    } finally {
      this.opening = false;
    }
    if (at === null) {
      this.blocked = true;
      this.changed();
      return "blocked";
    }
    this.fill(at, title, draw);
    return how;
  }

  close(): void {
    this.window?.close();
  }

  private fill(at: Window, title: string, draw: (body: HTMLElement, at: Window) => () => void): void {
    this.window = at;
    dress(at.document, document, title);
    const empty = draw(at.document.body, at);
    const leave = () => at.close();
    addEventListener("pagehide", leave);
    at.addEventListener("pagehide", () => {
      removeEventListener("pagehide", leave);
      empty();
      if (this.window === at) this.window = null;
      this.changed();
    });
    this.changed();
  }
}

/** Give a blank document this page's language, colours and style sheets. */
function dress(blank: Document, page: Document, title: string): void {
  blank.title = title;
  blank.documentElement.lang = page.documentElement.lang;
  recolour(blank, page);
  blank.body.className = "small-window";
  for (const sheet of page.styleSheets) {
    if (sheet.href !== null) {
      const link = blank.createElement("link");
      link.rel = "stylesheet";
      link.href = sheet.href;
      blank.head.append(link);
    } else if (sheet.ownerNode) {
      blank.head.append(blank.importNode(sheet.ownerNode, true)); // while the page is developed
    }
  }
}

/** Give a document the colours that were chosen on the page. */
export function recolour(blank: Document, page: Document): void {
  const { theme } = page.documentElement.dataset;
  if (theme === undefined) delete blank.documentElement.dataset["theme"];
  else blank.documentElement.dataset["theme"] = theme;
}

interface FloatingWindows {
  requestWindow(options: { width: number; height: number }): Promise<Window>;
}

/** The browser that the page runs in. */
export function realShop(): Shop {
  return {
    async float(width, height) {
      const { documentPictureInPicture: floating } = globalThis as {
        documentPictureInPicture?: FloatingWindows;
      };
      if (!floating) return null;
      try {
        return await floating.requestWindow({ width, height });
      } catch {
        return null; // switched off by a policy: a pop-up may still be allowed
      }
    },
    pop(width, height) {
      const at = open("", "styleflow-small", `popup,width=${width},height=${height}`);
      return at === null || at.closed ? null : at;
    },
  };
}
