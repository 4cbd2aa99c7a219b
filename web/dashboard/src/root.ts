// Where the analyzer is: the root of a host, or a prefix that a reverse proxy serves it below.

/** Address of the analyzer, with a slash at its end; the page's own files are one folder deeper. */
export const ROOT = new URL(/* @vite-ignore */ "..", import.meta.url);
