// A client that another program would write with types generated from /openapi.json: it adds a
// stream, reads it back, is refused politely, and removes it.
import createClient from "openapi-fetch";
import type { operations, paths } from "./api.js";

type Streams = operations["listStreams"]["responses"][200]["content"]["application/json"];
type NewStream = operations["addStream"]["requestBody"]["content"]["application/json"];
type NotReady = operations["getReadyz"]["responses"][503]["content"]["application/json"];
type NotLive = operations["getLivez"]["responses"][503]["content"]["application/json"];
type NoCall = operations["startCall"]["responses"][503]["content"]["application/problem+json"];

function expect(wanted: unknown, what: string): asserts wanted {
  if (!wanted) throw new Error(`not so: ${what}`);
}

function ids(streams: Streams): string[] {
  return streams.streams.map((stream) => stream.id);
}

function inWords(why: NotReady | NotLive | NoCall): string {
  if ("hint" in why) return `${why.title}: ${why.hint}`;
  return JSON.stringify(why.details);
}

const [baseUrl] = process.argv.slice(2);
expect(baseUrl, "the analyzer's address is given");
const api = createClient<paths>({ baseUrl });

const ready = await api.GET("/readyz");
expect(ready.data?.ready, ready.error ? inWords(ready.error) : "the analyzer is ready");

const wanted: NewStream = { id: "typed", source: { url: "demo://authentic?seconds=1" } };
const added = await api.POST("/api/v1/streams", { body: wanted });
expect(added.data?.id === "typed", "the stream is added");

const again = await api.POST("/api/v1/streams", { body: wanted });
expect(again.error?.status === 409 && again.error.hint !== "", "a second one of that id is refused");

const listed = await api.GET("/api/v1/streams");
expect(listed.data && ids(listed.data).includes("typed"), "the stream is listed");

const params = { path: { id: "typed" } };
const status = await api.GET("/api/v1/streams/{id}/status", { params });
expect(status.data?.id === "typed", "the stream has a status");

const removed = await api.DELETE("/api/v1/streams/{id}", { params });
expect(removed.response.status === 204, "the stream is removed");
console.log("done");
