import { expect, test } from "vitest";
import { problemOf, Refused } from "../src/api";
import { type Browser, captureProblem, iceServers, Publisher } from "../src/whip";

test("ICE servers are read from Link headers", () => {
  const header =
    '<stun:stun.example.net>; rel="ice-server", ' +
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; ' +
    'credential="a,b"; credential-type="password", <https://example.net>; rel="help"';
  expect(iceServers(header)).toEqual([
    { urls: "stun:stun.example.net" },
    { urls: "turn:turn.example.net?transport=udp", username: "user", credential: "a,b" },
  ]);
  expect(iceServers("")).toEqual([]);
});

test.each(["NotAllowedError", "NotFoundError", "NotSupportedError", "NotReadableError", "InsecureContext", "Other"])(
  "%s is explained",
  (name) => {
    const problem = captureProblem(Object.assign(new Error("x"), { name }), "camera");
    expect(problem.title).not.toBe("");
    expect(problem.hint).not.toBe("");
  },
);

class Peer extends EventTarget {
  iceGatheringState = "complete";
  connectionState = "new";
  localDescription = { sdp: "offer" };
  readonly prompts = new EventTarget();
  addTransceiver() {
    return {};
  }
  createDataChannel(label: string) {
    expect(label).toBe("prompts");
    return this.prompts;
  }
  async createOffer() {
    return {};
  }
  async setLocalDescription() {}
  async setRemoteDescription() {
    this.connectionState = "connected";
    this.dispatchEvent(new Event("connectionstatechange"));
  }
  closed = () => {};
  close() {
    this.closed();
  }
}

/** A browser whose answers are scripted, and whose timers run when they are told to. */
function play(statuses: number[], capture?: Promise<void>, answering?: Promise<void>) {
  const asked: string[] = [];
  const peers: Peer[] = [];
  const timers = new Map<number, () => void>();
  let count = 0;
  const media = Object.assign(new EventTarget(), {
    getTracks: () => [],
    getVideoTracks: () => [new EventTarget()],
  });
  const browser: Browser = {
    capture: async () => {
      await capture;
      return media as unknown as MediaStream;
    },
    connection: () => {
      peers.push(new Peer());
      return peers.at(-1) as unknown as RTCPeerConnection;
    },
    ask: async (path, { method = "GET" }) => {
      asked.push(`${method} ${path}`);
      if (method !== "POST") return new Response(null, { status: 204 });
      await answering;
      const status = statuses.shift() ?? 201;
      if (status === 201) return new Response("answer", { status, headers: { location: "/whip/me/x" } });
      const body = { title: "No further stream is accepted now", detail: "busy", status };
      throw new Refused(await problemOf(new Response(JSON.stringify(body), { status })));
    },
    after: (_, call) => {
      const id = (count += 1);
      timers.set(id, call);
      return () => timers.delete(id);
    },
  };
  const phases: string[] = [];
  const publisher: Publisher = new Publisher(browser, "camera", "me", () => {
    phases.push(publisher.sending.phase);
  });
  const wake = async () => {
    for (const [id, call] of [...timers]) {
      timers.delete(id);
      call();
    }
    await new Promise((done) => setTimeout(done));
  };
  return { publisher, phases, asked, wake, peers };
}

test("ICE servers are asked for while the person is", async () => {
  let allow = () => {};
  const { publisher, asked } = play([], new Promise<void>((resolve) => (allow = resolve)));
  const started = publisher.start();
  await Promise.resolve();
  expect(asked).toEqual(["OPTIONS whip/me"]);
  allow();
  await started;
  expect(asked).toEqual(["OPTIONS whip/me", "POST whip/me"]);
  expect(publisher.sending.phase).toBe("live");
});

test("the goodbye comes before the connection is closed", async () => {
  const { publisher, asked, peers } = play([]);
  await publisher.start();
  peers.forEach((peer) => (peer.closed = () => asked.push("closed")));
  await publisher.stop();
  expect(asked.slice(1)).toEqual(["POST whip/me", "DELETE /whip/me/x", "closed"]);
});

test("a call that is answered only after it was stopped is ended", async () => {
  let answer = () => {};
  const { publisher, asked } = play([], undefined, new Promise<void>((resolve) => (answer = resolve)));
  const started = publisher.start();
  while (!asked.includes("POST whip/me")) await new Promise((done) => setTimeout(done));
  await publisher.stop();
  answer();
  await started;
  expect(asked.slice(1)).toEqual(["POST whip/me", "DELETE /whip/me/x"]);
  expect(publisher.sending.phase).toBe("ended");
});

test("an analyzer without room is no lost connection, and is asked again", async () => {
  const { publisher, phases, wake } = play([429, 409]);
  await publisher.start();
  expect(phases).toEqual(["asking", "connecting", "waiting"]);
  expect(publisher.sending.problem?.title).toBe("No further stream is accepted now");
  await wake(); // 409: our own last session may not be over yet
  expect(publisher.sending.phase).toBe("waiting");
  await wake();
  expect(publisher.sending.phase).toBe("live");
  expect(publisher.sending.problem).toBeNull();
});

test("what will never be taken is said at once", async () => {
  const { publisher } = play([422]);
  await publisher.start();
  expect(publisher.sending.phase).toBe("failed");
});

test("what the person is asked comes on a channel of its own, and goes with the result", async () => {
  const { publisher, peers } = play([]);
  await publisher.start();
  const say = (phase: string, prompt: string) => {
    const data = { challenge: "1", phase, prompt, remaining_s: 6, colours: [], colours_s: 3 };
    peers[0]?.prompts.dispatchEvent(
      new MessageEvent("message", { data: JSON.stringify({ v: 1, type: "prompt", stream: "me", data }) }),
    );
  };
  say("asking", "Look up");
  expect(publisher.prompt?.prompt).toBe("Look up");
  say("done", "");
  expect(publisher.prompt).toBeNull();
  say("asking", "Look up");
  await publisher.stop();
  expect(publisher.prompt).toBeNull();
});
