// What people may call a stream, and what the page itself calls this browser's. Pure.

export const MAX_NAME = 128;
export const MAX_TAGS = 16;
const MAX_TAG = 32;
// Characters of control, and those that turn text around: as the server has it.
const MISLEADING = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

/** Say what is wrong with a name; empty when nothing is. */
export function nameFault(name: string): string {
  if (name.trim().length > MAX_NAME) return `At most ${MAX_NAME} characters`;
  return MISLEADING.test(name) ? "A character of it cannot be shown" : "";
}

/** Return the tags in a text, each once, divided by commas. */
export function tagsOf(text: string): string[] {
  return [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];
}

/** Say what is wrong with tags; empty when nothing is. */
export function tagsFault(tags: readonly string[]): string {
  if (tags.length > MAX_TAGS) return `At most ${MAX_TAGS} tags`;
  const long = tags.find((tag) => tag.length > MAX_TAG);
  if (long !== undefined) return `“${long}” is longer than ${MAX_TAG} characters`;
  return tags.some((tag) => MISLEADING.test(tag)) ? "A character of it cannot be shown" : "";
}

/** What this browser's own stream is called: `my camera, Tuesday 14:05`. */
export function ownName(kind: "camera" | "tab", now: Date, locale?: string): string {
  const day = new Intl.DateTimeFormat(locale, { weekday: "long" }).format(now);
  const time = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return `my ${kind}, ${day} ${time.format(now)}`;
}
