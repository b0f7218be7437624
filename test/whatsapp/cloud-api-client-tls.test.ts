import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createServer } from "node:tls";

import { connect, send, serve } from "./test-client.ts";

const hasOpenSsl = spawnSync("openssl", ["version"]).status === 0;

test("a port that speaks no TLS is unreachable", async (context) => {
  const server = await serve(context, (socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad\r\n\r\n")));
  const answer = await send(connect(context, server.url.replace("http:", "https:")));
  assert.deepEqual(answer, {
    kind: "unreachable",
    reason: "WhatsApp could not be reached: no secure connection could be made.",
  });
  assert.doesNotMatch(server.received(), /POST/);
});

test("a connection closed in the middle of the TLS handshake is unreachable", async (context) => {
  const server = await serve(context, (socket) => socket.once("data", () => socket.destroy()));
  const answer = await send(connect(context, server.url.replace("http:", "https:")));
  assert.equal(answer.kind, "unreachable");
});

test("a certificate that nobody vouches for is unreachable", { skip: !hasOpenSsl }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "volley-tls-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const [keyFile, certificateFile] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const certificate = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost";
  const made = spawnSync("openssl", [...certificate.split(" "), "-keyout", keyFile, "-out", certificateFile]);
  assert.equal(made.status, 0);
  let received = "";
  const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certificateFile) }, (socket) => {
    socket.on("data", (chunk) => (received += chunk.toString()));
  });
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  assert.deepEqual(await send(connect(context, `https://127.0.0.1:${port}`)), {
    kind: "unreachable",
    reason: "WhatsApp could not be reached: its certificate was not accepted (DEPTH_ZERO_SELF_SIGNED_CERT).",
  });
  assert.equal(received, "");
});
