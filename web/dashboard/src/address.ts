// Looks at a camera's address while it is being typed, so that the commonest mistakes are explained
// before anything is sent. The server has the last word.

export interface Finding {
  /** What is wrong; empty when nothing is. */
  fault: string;
  /** What to do about it. */
  hint: string;
  /** Something to know that does not keep it from being sent. */
  remark: string;
}

const FINE: Finding = { fault: "", hint: "", remark: "" };

export function examine(text: string): Finding {
  const address = text.trim();
  if (address === "") {
    return wrong("Enter the camera's address", "It begins with rtsp:// and is in the camera's manual");
  }
  if (/\s/.test(address)) {
    return wrong("There is a space in the address", "Remove it, or write %20 if it belongs there");
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    return /^[/.~]/.test(address)
      ? { ...FINE, remark: "A file on the analyzer, if its folder is permitted" }
      : wrong("It does not say how to connect", `Begin with rtsp://, as in rtsp://${address.split("@").pop()}`);
  }
  if (scheme === "http" || scheme === "https") {
    return wrong(
      "This is the address of a web page, not of a video stream",
      "Look for RTSP in the camera's settings; the address begins with rtsp://",
    );
  }
  if (scheme === "demo") return FINE;
  if (scheme === "whip") {
    return { ...FINE, remark: "Waits for a call; the address to call is shown on the stream's page" };
  }
  if (scheme !== "rtsp" && scheme !== "rtsps") {
    return wrong(`${scheme}:// is not understood here`, "Use rtsp:// or rtsps://, or whip:// to wait for a call");
  }
  return examineHost(scheme, address.slice(scheme.length + 3));
}

function examineHost(scheme: string, rest: string): Finding {
  const authority = rest.split(/[/?#]/, 1)[0] ?? "";
  const at = rest.lastIndexOf("@");
  if (at > authority.length || authority.split("@").length > 2) {
    return wrong(
      "User name or password contains a sign that must be encoded",
      "Write %40 for @, %2F for /, %3A for :, %23 for # and %3F for ?",
    );
  }
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  const [, name = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(host) ?? [];
  if (name === "" || name === "[]") {
    return wrong("The camera's host name or IP address is missing", `As in ${scheme}://192.0.2.7/stream1`);
  }
  if (port !== undefined && !(/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65535)) {
    return wrong(`“${port}” is not a port`, "A port is a number from 1 to 65535; RTSP's own is 554");
  }
  if (/^\d+(\.\d+){3}$/.test(name) && name.split(".").some((part) => Number(part) > 255)) {
    return wrong(`${name} is not an IP address`, "Each of its four parts is at most 255");
  }
  if (!rest.slice(authority.length).replace(/^\//, "")) {
    return { ...FINE, remark: "Most cameras want a path after the host, such as /stream1" };
  }
  if (scheme === "rtsp" && authority.includes("@")) {
    return { ...FINE, remark: "The password travels unencrypted; rtsps:// protects it" };
  }
  return FINE;
}

function wrong(fault: string, hint: string): Finding {
  return { fault, hint, remark: "" };
}

/** Return an id for a stream at an address that none of the others has. */
export function suggestId(address: string, name: string, taken: ReadonlySet<string>): string {
  const host = /@?([^/@:?#]+)(?::\d+)?(?:[/?#]|$)/.exec(address.replace(/^[a-z]+:\/\//i, ""))?.[1];
  const base =
    (name || host || (address.startsWith("whip:") ? "call" : "camera"))
      .normalize("NFKD")
      .replace(/\p{M}/gu, "")
      .replace(/[^A-Za-z0-9._-]+/g, "-")
      .replace(/^[-.]+|[-.]+$/g, "")
      .toLowerCase()
      .slice(0, 56) || "camera";
  for (let n = 1; ; n += 1) {
    const id = n === 1 ? base : `${base}-${n}`;
    if (!taken.has(id)) return id;
  }
}
