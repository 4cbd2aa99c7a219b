"use strict";

// A live table of what the analyzer says. It asks the WebSocket and keeps asking: when the
// connection is lost it comes back with the last number it has seen of each stream.

const PROTOCOL = "styleflow.v1.json";
const MAX_EVENTS = 30;
const LONGEST_WAIT_MS = 15000;

const streams = new Map(); // id -> {name, status, notice, demo, faces: Map(track -> score)}
const points = {}; // id -> {epoch, seq}: where to resume
let wait = 500;
let dirty = false;
let expected = 1; // streams that the server has promised a snapshot of, or resumed

const byId = (id) => document.getElementById(id);

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function say(text, className) {
  const pill = byId("connection");
  pill.textContent = text;
  pill.className = `pill ${className}`;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/v1/scores`, PROTOCOL);
  socket.onopen = () => {
    const token = sessionStorage.getItem("token");
    socket.send(JSON.stringify({ type: "hello", client: "page", ...(token ? { token } : {}) }));
    socket.send(JSON.stringify({ type: "subscribe", id: "page", streams: ["*"], max_hz: 4, resume: points }));
  };
  socket.onmessage = (frame) => take(JSON.parse(frame.data));
  socket.onclose = (closed) => again(closed);
}

function again(closed) {
  if (closed.code === 1008 || closed.code === 4401) {
    say("a token is needed", "lost");
    byId("login").hidden = false;
    return;
  }
  say(closed.reason ? `connection lost: ${closed.reason}` : "connection lost, trying again", "lost");
  setTimeout(connect, wait * (0.5 + Math.random()));
  wait = Math.min(wait * 2, LONGEST_WAIT_MS);
}

function take(message) {
  if (message.stream !== null && message.seq !== null) {
    const seen = points[message.stream];
    const seq = Math.max(message.seq, seen ? seen.seq : 0);
    points[message.stream] = { epoch: message.epoch, seq };
  }
  if (message.type === "subscribed") begin(message.data);
  else if (message.type === "snapshot") snapshot(message.stream, message.data);
  else if (message.type === "status") status(message.stream, message.data);
  else if (message.type === "score") score(message.stream, message.data);
  else if (message.type === "event") happened(message);
  else if (message.type === "lagged") note(message.ts_emit, `${message.data.dropped} events were missed here`);
  if (!dirty) {
    dirty = true;
    requestAnimationFrame(draw);
  }
}

function begin(data) {
  wait = 500;
  say("live", "live");
  byId("login").hidden = true;
  expected = data.streams.length;
  const there = new Set(data.streams);
  for (const id of streams.keys()) {
    if (!there.has(id)) forget(id); // removed while we were away
  }
}

function forget(id) {
  streams.delete(id);
  delete points[id];
}

function snapshot(id, data) {
  const faces = new Map(data.scores.map((face) => [face.track, face]));
  streams.set(id, { name: data.name, status: data.status, notice: data.notice, demo: data.demo, faces });
}

function status(id, data) {
  const stream = streams.get(id);
  if (!stream) return;
  stream.status = data;
  stream.name = data.name;
  stream.notice = data.notice;
  stream.demo = data.demo;
}

function score(id, data) {
  const stream = streams.get(id);
  if (stream) stream.faces.set(data.track, data);
}

const WORDS = {
  stream_added: () => "added",
  stream_removed: () => "removed",
  stream_changed: (data) => [data.summary, data.detail].filter(Boolean).join(": "),
  epoch_started: (data) => `video starts anew (${data.cause.replaceAll("_", " ")})`,
  track_started: (data) => `face ${data.track} appeared`,
  track_ended: (data) => `face ${data.track} is gone (${data.reason.replaceAll("_", " ")})`,
  capacity_reached: (data) => `face ${data.track} is not scored: all ${data.slots} slots are taken`,
  verdict_changed: (data) => `face ${data.track}: ${data.previous} → ${data.verdict}` + (data.notice ? ` (${data.notice})` : ""),
};

function happened(message) {
  const { stream: id, data } = message;
  const stream = streams.get(id);
  if (data.kind === "track_ended" && stream) stream.faces.delete(data.track);
  if (data.kind === "epoch_started" && stream) stream.faces.clear();
  if (data.kind === "stream_removed") {
    forget(id);
    expected = streams.size;
  }
  const words = WORDS[data.kind];
  if (words) note(message.ts_emit, `${stream ? stream.name : id}: ${words(data)}`);
}

function note(when, text) {
  const line = element("li");
  line.append(element("time", new Date(when).toLocaleTimeString()), text);
  const list = byId("events");
  list.prepend(line);
  while (list.children.length > MAX_EVENTS) list.lastChild.remove();
}

function draw() {
  dirty = false;
  const rows = [...streams.entries()].sort().flatMap(([id, stream]) => streamRows(id, stream));
  byId("rows").replaceChildren(...rows);
  byId("empty").hidden = streams.size > 0 || expected > 0;
  banners();
}

function banners() {
  const said = new Map();
  for (const [id, stream] of streams) {
    if (stream.notice) said.set(stream.notice, [...(said.get(stream.notice) || []), stream.name || id]);
  }
  const shown = [...said].map(([notice, names]) => `${notice} (${names.join(", ")})`);
  const current = [...byId("notices").children].map((child) => child.textContent);
  if (shown.join() === current.join()) return; // an alert is read out again when it changes
  byId("notices").replaceChildren(...shown.map((text) => element("p", text, "banner")));
}

function streamRows(id, stream) {
  const faces = [...stream.faces.values()].sort((a, b) => a.track - b.track);
  if (faces.length === 0) return [row("", [streamCell(id, stream), element("td", "–"), element("td", "–"), statusCell(stream)])];
  return faces.map((face, index) =>
    row(face.state, [index === 0 ? streamCell(id, stream) : element("td"), element("td", String(face.track)), scoreCell(face), stateCell(face)]));
}

function row(className, cells) {
  const made = element("tr", "", className);
  made.append(...cells);
  return made;
}

function streamCell(id, stream) {
  const cell = element("td");
  cell.append(element("strong", stream.name || id));
  if (stream.status) {
    const fps = stream.status.fps ? `, ${stream.status.fps.toFixed(0)} frames/s` : "";
    cell.append(element("span", stream.status.summary + fps, "note"));
  }
  return cell;
}

function statusCell(stream) {
  const cell = element("td");
  if (stream.status) cell.append(element("span", stream.status.summary, "state"), element("span", stream.status.detail, "note"));
  return cell;
}

function scoreCell(face) {
  const cell = element("td");
  if (face.p === null) {
    cell.append("–");
    return cell;
  }
  const bar = element("progress"); // neutral on purpose: the colour is the verdict's, not the number's
  bar.max = 1;
  bar.value = face.p;
  bar.setAttribute("aria-label", `score ${face.p.toFixed(2)}`);
  cell.append(element("span", face.p.toFixed(2), face.notice ? "number doubtful" : "number"));
  if (face.lo !== null && face.hi !== null) {
    cell.append(element("span", `${face.lo.toFixed(2)} to ${face.hi.toFixed(2)}`, "interval"));
  }
  cell.append(bar);
  return cell;
}

function stateCell(face) {
  const cell = element("td");
  if (face.model.status === "untrained") cell.append(element("span", "UNTRAINED", "tag"));
  if (face.demo) cell.append(element("span", "DEMO", "tag"));
  cell.append(element("span", face.summary, "state"));
  if (face.notice) cell.append(element("span", face.notice, "note"));
  return cell;
}

byId("login").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  sessionStorage.setItem("token", byId("token").value);
  connect();
});

connect();
