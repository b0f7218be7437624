import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { nkeys } from "@nats-io/transport-node";

import type { NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import { startNatsServer, withoutNats } from "../support/nats-server.ts";
import type { NatsServer } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import { connectTo, keptLog } from "./jetstream-settings.ts";
import type { Connecting } from "./jetstream-settings.ts";

const skip = withoutNats;

async function serverFor(context: TestContext, config?: string): Promise<NatsServer> {
  const server = await startNatsServer(config === undefined ? {} : { config });
  context.after(() => server.stop());
  return server;
}

async function linkFor(context: TestContext, connecting: Connecting): Promise<NatsLink> {
  const link = await connectTo(connecting);
  context.after(() => link.close());
  return link;
}

/** The message of the refusal; it must come long before the 30 s that an absent server is waited for. */
async function refusalOf(connecting: Connecting): Promise<string> {
  const startedAtMs = performance.now();
  const error: unknown = await connectTo(connecting).then(
    (link) => link.close().then(() => assert.fail("it connected")),
    (reason: unknown) => reason,
  );
  assert(error instanceof Error && "code" in error);
  assert.equal(error.code, "ERR_NATS_REFUSED", error.message);
  assert(performance.now() - startedAtMs < 10_000);
  return error.message;
}

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "volley-nats-tls-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("a link answers requests, knows its prefix and tells the log where it is connected", { skip }, async (context) => {
  const server = await serverFor(context);
  const { log, lines } = keptLog();
  const link = await linkFor(context, { server, log, settings: { name: "shop" } });
  assert.equal(link.prefix, "shop");
  assert.equal(link.isConnected(), true);
  assert.equal((await link.manager.getAccountInfo()).streams, 0);
  assert.deepEqual(
    lines.map(({ event }) => event),
    ["nats.connected"],
  );
});

test("a server that starts later is waited for", { skip }, async (context) => {
  const server = await serverFor(context);
  await server.kill();
  const { log, lines } = keptLog();
  const linking = linkFor(context, { server, log });
  await until("the first failure is logged", () => lines.some(({ event }) => event === "nats.waiting"));
  await server.start();
  assert.equal((await linking).isConnected(), true);
});

test("when no server answers in time, the error names the addresses", { skip }, async (context) => {
  const server = await serverFor(context);
  await server.kill();
  await assert.rejects(connectTo({ server, connectTimeoutMs: 500 }), {
    code: "ERR_NATS_CONNECT",
    message: `no NATS server answered within 500 ms at ${server.url}: connection refused`,
  });
});

test("a server that takes the connection and says nothing is not waited for longer", { skip }, async (context) => {
  const server = await serverFor(context);
  server.pause();
  await assert.rejects(connectTo({ server, connectTimeoutMs: 500 }), { code: "ERR_NATS_CONNECT" });
});

test("user and password open the door, and a wrong password is told at once", { skip }, async (context) => {
  const server = await serverFor(context, "authorization { user: volley, password: s3cret }");
  const { log, lines } = keptLog();
  await linkFor(context, { server, log, settings: { user: "volley", password: "s3cret" } });
  const message = await refusalOf({ server, log, settings: { user: "volley", password: "wr0ng" } });
  assert.match(message, /Authorization Violation/i);
  assert.doesNotMatch(JSON.stringify(lines) + message, /s3cret|wr0ng/);
  assert.match(await refusalOf({ server, log }), /Authorization Violation/i);
});

test("a token opens the door", { skip }, async (context) => {
  const server = await serverFor(context, "authorization { token: t0ken }");
  await linkFor(context, { server, settings: { token: "t0ken" } });
  await refusalOf({ server, settings: { token: "other" } });
});

test("an NKEY's seed opens the door", { skip }, async (context) => {
  const user = nkeys.createUser();
  const server = await serverFor(context, `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`);
  const nkeySeed = new TextDecoder().decode(user.getSeed());
  await linkFor(context, { server, settings: { nkeySeed } });
  const stranger = new TextDecoder().decode(nkeys.createUser().getSeed());
  await refusalOf({ server, settings: { nkeySeed: stranger } });
  const broken = `${nkeySeed.slice(0, -2)}AA`;
  const message = await refusalOf({ server, settings: { nkeySeed: broken } });
  assert.match(message, /stream\.nkeySeed holds no usable key/);
  assert(!message.includes(broken));
});

test("a credentials file that is missing or holds no key is told by its name", { skip }, async (context) => {
  const server = await serverFor(context);
  const file = join(folderFor(context), "volley.creds");
  assert.match(await refusalOf({ server, settings: { credentialsFile: file } }), /volley\.creds cannot be read/);
  writeFileSync(file, "nothing");
  assert.match(await refusalOf({ server, settings: { credentialsFile: file } }), /volley\.creds holds no usable key/);
});

/** An authority, a server's certificate for 127.0.0.1 and a client's, made by openssl. */
function certificates(folder: string): void {
  const openssl = (...parameters: string[]): void =>
    void execFileSync("openssl", parameters, { cwd: folder, stdio: "pipe" });
  const subject = (name: string): string[] => ["-subj", `/CN=${name}`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, ...subject("authority"), "-keyout", "ca.key", "-out", "ca.pem", "-days", "1");
  writeFileSync(join(folder, "names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  for (const name of ["server", "client"]) {
    openssl("req", ...key, ...subject(name), "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "names"];
    openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...signer);
  }
}

test("TLS: a trusted certificate connects, an unknown authority is told at once", { skip }, async (context) => {
  const folder = folderFor(context);
  certificates(folder);
  const files = `cert_file: "${folder}/server.pem", key_file: "${folder}/server.key"`;
  const server = await serverFor(context, `tls { ${files} }`);
  const link = await linkFor(context, { server, settings: { tls: { caFile: join(folder, "ca.pem") } } });
  assert.equal((await link.manager.getAccountInfo()).streams, 0);
  assert.match(await refusalOf({ server, settings: { tls: {} } }), /certificate/);
  assert.match(await refusalOf({ server }), /certificate/);
  const missing = join(folder, "nowhere.pem");
  assert.match(await refusalOf({ server, settings: { tls: { caFile: missing } } }), /nowhere\.pem cannot be read/);
});

test("TLS: a server that asks for a certificate gets the engine's", { skip }, async (context) => {
  const folder = folderFor(context);
  certificates(folder);
  const files = `cert_file: "${folder}/server.pem", key_file: "${folder}/server.key", ca_file: "${folder}/ca.pem"`;
  const server = await serverFor(context, `tls { ${files}, verify: true }`);
  const caFile = join(folder, "ca.pem");
  const own = { certFile: join(folder, "client.pem"), keyFile: join(folder, "client.key") };
  const link = await linkFor(context, { server, settings: { tls: { caFile, ...own } } });
  assert.equal((await link.manager.getAccountInfo()).streams, 0);
  const bare = connectTo({ server, settings: { tls: { caFile } }, connectTimeoutMs: 500 });
  await assert.rejects(bare, { code: "ERR_NATS_CONNECT", message: /stream\.tls\.certFile/ });
});

test("tls:// never falls back to a server without TLS", { skip }, async (context) => {
  const server = await serverFor(context);
  const settings = { servers: [server.url.replace("nats://", "tls://")] };
  assert.match(await refusalOf({ server, settings }), /does not support 'tls'/);
});

test("a killed server is noticed, and found again once it is back", { skip }, async (context) => {
  const server = await serverFor(context);
  const { log, lines } = keptLog();
  const link = await linkFor(context, { server, log });
  const changes: boolean[] = [];
  const forget = link.onChange((isConnected) => changes.push(isConnected));
  await server.kill();
  await until("the loss is noticed", () => !link.isConnected());
  await server.start();
  await until("the link is back", () => link.isConnected());
  assert.deepEqual(changes, [false, true]);
  assert.deepEqual(
    lines.map(({ event }) => event),
    ["nats.connected", "nats.disconnected", "nats.reconnected"],
  );
  forget();
  await server.kill();
  await until("the second loss is noticed", () => !link.isConnected());
  assert.equal(changes.length, 2);
});

test("a frozen server is noticed within seconds, and closing does not wait for it", { skip }, async (context) => {
  const server = await serverFor(context);
  const link = await linkFor(context, { server });
  const other = await linkFor(context, { server });
  server.pause();
  const closedAtMs = performance.now();
  await other.close();
  assert(performance.now() - closedAtMs < 5000, "closing hung");
  await until("the silence is noticed", () => !link.isConnected(), 8000);
  server.resume();
  await until("the link is back", () => link.isConnected(), 10_000);
  assert.equal((await link.manager.getAccountInfo()).streams, 0);
});

test("a link closes without its server, twice, and says so to who listens", { skip }, async (context) => {
  const server = await serverFor(context);
  const { log, lines } = keptLog();
  const link = await connectTo({ server, log });
  await server.kill();
  await until("the loss is noticed", () => !link.isConnected());
  let told = 0;
  link.onChange(() => (told += 1));
  await Promise.all([link.close(), link.close()]);
  await link.close();
  assert.equal(link.isConnected(), false);
  assert.equal(told, 1);
  assert(!lines.some(({ event }) => event === "nats.closed"), "closing is no accident");
});
