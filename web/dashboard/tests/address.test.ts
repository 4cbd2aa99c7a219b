import { expect, test } from "vitest";
import { examine, suggestId } from "../src/address";

test.each([
  ["", /Enter/],
  ["rtsp://cam /1", /space/],
  ["192.0.2.7:554/stream1", /how to connect/],
  ["https://cam.example/", /web page/],
  ["ftp://cam.example/1", /not understood/],
  ["rtsp://", /host name or IP address is missing/],
  ["rtsp://admin:secret@/1", /host name or IP address is missing/],
  ["rtsp://admin:p@ss@cam/1", /must be encoded/],
  ["rtsp://admin:p/ss@cam/1", /must be encoded/],
  ["rtsp://admin:p#ss@cam/1", /must be encoded/],
  ["rtsp://cam:0/1", /not a port/],
  ["rtsp://cam:rtsp/1", /not a port/],
  ["rtsp://192.0.2.777/1", /not an IP address/],
])("%s is explained", (address, fault) => {
  const finding = examine(address);
  expect(finding.fault).toMatch(fault);
  expect(finding.hint).not.toBe("");
});

test.each([
  "rtsp://cam/stream1",
  "rtsps://user:p%40ss@cam.example:322/live?channel=1",
  "rtsp://[2001:db8::7]:8554/a",
  " rtsp://cam/1 ",
  "RTSP://CAM/1",
  "demo://tampered",
])("%s is fine", (address) => {
  expect(examine(address).fault).toBe("");
});

test("a password is never repeated in a hint", () => {
  expect(JSON.stringify(examine("admin:hunter2@cam/1"))).not.toContain("hunter2");
});

test("what is fine but unusual is remarked upon", () => {
  expect(examine("rtsp://cam").remark).toMatch(/path/);
  expect(examine("rtsp://admin:secret@cam/1").remark).toMatch(/unencrypted/);
  expect(examine("/videos/a.mp4").remark).toMatch(/file/);
});

test.each([
  ["rtsp://user:secret@cam.example:554/1", "", "cam.example"],
  ["rtsp://192.0.2.7/stream1", "Front door!", "front-door"],
  ["demo://authentic", "", "authentic"],
  ["rtsp://[2001:db8::7]/a", "Ünï", "uni"],
  ["rtsp://cam/1", "***", "camera"],
])("%s named %j becomes %s", (address, name, id) => {
  expect(suggestId(address, name, new Set())).toBe(id);
  expect(suggestId(address, name, new Set([id]))).toBe(`${id}-2`);
  expect(id).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
});
