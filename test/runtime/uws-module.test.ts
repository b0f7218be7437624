import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";

import knownFiles from "../../engine/runtime/uws-checksums.json" with { type: "json" };
import { loadUws } from "../../engine/runtime/uws-module.ts";

const folder = mkdtempSync(join(tmpdir(), "volley-uws-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const fileName = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;

test("loads a binary of one of the two packages and says which", () => {
  const { uws, description } = loadUws();
  assert.equal(typeof uws.App, "function");
  assert.match(description, /^@\S+@20\.\S+ \(uws_\w+\.node\)$/);
});

test("loads in a worker thread beside the main thread", async () => {
  loadUws();
  const source = `const { parentPort } = await import("node:worker_threads");
    const { loadUws } = await import(${JSON.stringify(new URL("../../engine/runtime/uws-module.js", import.meta.url).href)});
    parentPort.postMessage(typeof loadUws().uws.App);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const answer = await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  assert.equal(answer, "function");
  await worker.terminate();
});

test("refuses a binary whose hash is not known, before it runs", () => {
  writeFileSync(join(folder, fileName), "not the tested one");
  const candidates = [{ release: "altered@1", folder, checksums: { [fileName]: "0".repeat(64) } }];
  assert.throws(() => loadUws(candidates), {
    code: "ERR_INGRESS_NATIVE_UNVERIFIED",
    message: /altered|SHA-256/,
  });
});

test("refuses a binary that the table does not name at all", () => {
  writeFileSync(join(folder, fileName), "unheard of");
  assert.throws(() => loadUws([{ release: "new@1", folder, checksums: {} }]), {
    code: "ERR_INGRESS_NATIVE_UNVERIFIED",
  });
});

test("says in one sentence what is needed when no binary is there", () => {
  const candidates = [
    { release: "absent@1", folder: null, checksums: {} },
    { release: "empty@1", folder: join(folder, "none"), checksums: {} },
  ];
  assert.throws(() => loadUws(candidates), {
    code: "ERR_INGRESS_NATIVE_MISSING",
    message: /glibc 2\.38.*absent@1.*empty@1/,
  });
});

test("goes on to the next package when a known file does not load", () => {
  const unloadable = "no shared object";
  writeFileSync(join(folder, fileName), unloadable);
  const checksums = { [fileName]: createHash("sha256").update(unloadable).digest("hex") };
  assert.throws(() => loadUws([{ release: "broken@1", folder, checksums }]), {
    code: "ERR_INGRESS_NATIVE_MISSING",
    message: /broken@1: \S+/,
  });
});

test("the table holds every binary of the two packages, so a platform is never refused by oversight", () => {
  for (const [alias, subfolder] of [
    ["uWebSockets.js", ""],
    ["uwebsockets-node20", "binaries"],
  ] as const) {
    const installed = readdirSync(join("node_modules", alias, subfolder)).filter((name) => name.endsWith(".node"));
    assert.deepEqual(Object.keys(knownFiles[alias].files).toSorted(), installed.toSorted());
  }
});
