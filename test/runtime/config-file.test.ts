import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { loadConfig } from "../../engine/runtime/config-file.ts";
import type { LoadedConfig } from "../../engine/runtime/config-file.ts";
import { EngineError } from "../../engine/runtime/errors.ts";
import { settingsFolder } from "./settings-folder.ts";

const SENDER = `
senders:
  main:
    phoneNumberId: "106540352242922"
    wabaId: "102290129340398"
    accessToken: \${WHATSAPP_ACCESS_TOKEN}
`;
const SECRETS = `
whatsapp:
  appSecret: \${WHATSAPP_APP_SECRET}
  verifyToken: \${WHATSAPP_VERIFY_TOKEN}
`;
const CREDENTIALS = { WHATSAPP_ACCESS_TOKEN: "EAA1", WHATSAPP_APP_SECRET: "s1", WHATSAPP_VERIFY_TOKEN: "v1" };

function load(context: TestContext, text: string, environment: Record<string, string> = {}): LoadedConfig {
  return loadConfig({ file: settingsFolder(context).write("volley.yaml", text), environment });
}

/** The lines of the refusal, without the temporary folder. */
function faultsOf(context: TestContext, text: string, environment: Record<string, string> = {}): string[] {
  try {
    load(context, text, environment);
  } catch (error) {
    assert(error instanceof EngineError);
    assert.equal(error.code, "ERR_CONFIG_INVALID");
    return error.message.split("\n").map((line) => line.replace(/^.*\/volley\.yaml/, "volley.yaml"));
  }
  return [];
}

test("what is left out has its default", (context) => {
  const { config } = load(context, `dataDir: ./x\n${SENDER}`);
  assert.deepEqual(config, {
    server: { host: "127.0.0.1", port: 8080 },
    dataDir: resolve("x"),
    stream: {
      driver: "embedded",
      servers: ["nats://127.0.0.1:4222"],
      replicas: 1,
      name: "volley",
      eventsMaxBytes: 256 * 1024 * 1024,
      ledgerMaxBytes: 512 * 1024 * 1024,
      ledgerMaxAgeDays: 30,
    },
    workers: Math.max(1, Math.min(availableParallelism() - 1, 8)),
    whatsapp: { baseUrl: "https://graph.facebook.com", apiVersion: "v26.0", appSecret: "", verifyToken: "" },
    senders: {
      main: {
        id: "main",
        phoneNumberId: "106540352242922",
        wabaId: "102290129340398",
        accessToken: "",
        portfolio: "102290129340398",
        messagesPerSecond: 80,
        pairLimit: { periodSeconds: 6, burst: 45 },
        dailyRecipients: "unlimited",
        configured: { messagesPerSecond: "auto", dailyRecipients: "auto" },
      },
    },
    limits: { triggersPerSecondPerKey: 1000, backlogMax: 1_000_000 },
    consent: {
      extraStopWords: [],
      extraResumeWords: [],
      ignoredWords: [],
      frequencyCap: null,
      unitedStates: "send",
    },
  });
});

test("the sample configuration loads, and lacks credentials without the environment", () => {
  const { config, hasCredentials, unsetVariables } = loadConfig({ file: "config/volley.yaml", environment: {} });
  assert.equal(hasCredentials, false);
  assert.deepEqual(unsetVariables, ["WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN", "WHATSAPP_ACCESS_TOKEN"]);
  assert.equal(config.senders["main"]?.messagesPerSecond, 80);
});

test("the sample configuration has credentials once all three are set", () => {
  const loaded = loadConfig({ file: "config/volley.yaml", environment: CREDENTIALS });
  assert.equal(loaded.hasCredentials, true);
  assert.deepEqual(loaded.unsetVariables, []);
  assert.equal(loaded.config.whatsapp.appSecret, "s1");
  assert.equal(loaded.config.senders["main"]?.accessToken, "EAA1");
});

test("one missing credential is as good as none", (context) => {
  for (const name of Object.keys(CREDENTIALS)) {
    const loaded = load(context, SENDER + SECRETS, { ...CREDENTIALS, [name]: "" });
    assert.equal(loaded.hasCredentials, false);
    assert.deepEqual(loaded.unsetVariables, [name]);
  }
});

test("without a sender there are no credentials", (context) => {
  assert.equal(load(context, `senders: {}\n${SECRETS}`, CREDENTIALS).hasCredentials, false);
});

test("the configuration is frozen to its depth", (context) => {
  const { config } = load(context, SENDER);
  assert.throws(() => Object.assign(config.senders["main"] ?? {}, { accessToken: "x" }), TypeError);
});

test("an unknown key is told with file, line, column, path and the nearest known key", (context) => {
  assert.deepEqual(faultsOf(context, `dataDirr: ./data\nserver:\n  prot: 80\n${SENDER}    messagePerSecond: 80\n`), [
    'volley.yaml:1:1 dataDirr: unknown key; the nearest known key is "dataDir"',
    'volley.yaml:3:3 server.prot: unknown key; the nearest known key is "port"',
    'volley.yaml:10:5 senders.main.messagePerSecond: unknown key; the nearest known key is "messagesPerSecond"',
  ]);
});

test("an id that YAML takes for a number asks for quotes", (context) => {
  assert.deepEqual(faultsOf(context, SENDER.replace('"106540352242922"', "106540352242922")), [
    "volley.yaml:4:20 senders.main.phoneNumberId: expected Meta's id of the number, digits in quotes, found a number; put it in quotes",
  ]);
});

test("impossible values are told all at once, from top to bottom", (context) => {
  const text = `server: { port: 70000 }
stream: { driver: embeded, replicas: 2 }
workers: 0
whatsapp: { baseUrl: graph.facebook.com }
senders:
  main: { phoneNumberId: "1", messagesPerSecond: 0, dailyRecipients: unlimitd }
limits:
`;
  assert.deepEqual(faultsOf(context, text), [
    "volley.yaml:1:17 server.port: expected a port, 0 for any free one, at most 65535, found 70000",
    'volley.yaml:2:19 stream.driver: expected embedded or jetstream, found "embeded"; the nearest is "embedded"',
    "volley.yaml:2:38 stream.replicas: expected 1, 3 or 5, found 2",
    "volley.yaml:3:10 workers: expected auto, or a number of threads, at least 1, found 0",
    'volley.yaml:4:22 whatsapp.baseUrl: expected an http(s) address such as https://graph.facebook.com, found "graph.facebook.com"',
    "volley.yaml:6:3 senders.main.wabaId: missing; expected the id of the WhatsApp Business Account, digits in quotes",
    "volley.yaml:6:3 senders.main.accessToken: missing; expected text such as ${WHATSAPP_ACCESS_TOKEN}",
    "volley.yaml:6:50 senders.main.messagesPerSecond: expected auto, or messages per second: 20, 80 or 1000, as Meta granted, above 0, found 0",
    'volley.yaml:6:70 senders.main.dailyRecipients: expected auto, a number of people in 24 hours, or unlimited, found "unlimitd"',
    "volley.yaml:7:1 limits: expected a mapping with triggersPerSecondPerKey and backlogMax, found nothing",
  ]);
});

test("a secret is never repeated in a fault", (context) => {
  const secret = "9".repeat(5000);
  const text =
    SENDER.replace("${WHATSAPP_ACCESS_TOKEN}", `"${secret}"`) +
    "server: { host: 1, port: ${PORT} }\n".replace("${PORT}", '"${SECRET_PORT}"');
  const faults = faultsOf(context, text, { SECRET_PORT: "s3cret" });
  assert.equal(faults.length, 3);
  assert.doesNotMatch(faults.join("\n"), /9999|s3cret/);
});

test("two senders cannot share a number", (context) => {
  const text = `${SENDER}  second:
    phoneNumberId: "106540352242922"
    wabaId: "1"
    accessToken: x
`;
  assert.deepEqual(faultsOf(context, text), [
    'volley.yaml:8:20 senders.second.phoneNumberId: expected a number of its own, but sender "main" has this one already',
  ]);
});

test("a variable stands for a number where a number belongs", (context) => {
  const text = `server:\n  port: \${PORT}\nworkers: \${WORKERS}\n`;
  const { config } = load(context, text, { PORT: "9000", WORKERS: "2" });
  assert.equal(config.server.port, 9000);
  assert.equal(config.workers, 2);
  assert.deepEqual(faultsOf(context, text, { PORT: "90000", WORKERS: "auto" }), [
    "volley.yaml:2:9 server.port: expected a port, 0 for any free one, at most 65535",
  ]);
});

test("outside of secrets an unset variable is a fault", (context) => {
  assert.deepEqual(faultsOf(context, "dataDir: ${DATA_DIR}\n"), [
    "volley.yaml:1:10 dataDir: the environment variable DATA_DIR is not set",
  ]);
});

test("a slip inside of ${…} is a fault, not a secret", (context) => {
  assert.deepEqual(faultsOf(context, "whatsapp:\n  appSecret: ${app-secret}\n"), [
    "volley.yaml:2:14 whatsapp.appSecret: expected a reference such as ${SHOP_SECRET}: letters, digits and _ only",
  ]);
});

test("broken YAML is told with its place", (context) => {
  assert.match(faultsOf(context, "server:\n  port: [1\n")[0] ?? "", /^volley\.yaml:\d:\d \S/);
  assert.deepEqual(faultsOf(context, "workers: 1\nworkers: 2\n"), ["volley.yaml:2:1 this key is given twice"]);
});

test("an empty file says what belongs there", (context) => {
  assert.deepEqual(faultsOf(context, ""), [
    "volley.yaml:1:1 expected a mapping of settings such as `dataDir: ./data`, found nothing",
  ]);
});

test("a file that is not there is unreadable", () => {
  assert.throws(() => loadConfig({ file: "/nowhere/volley.yaml", environment: {} }), {
    code: "ERR_CONFIG_UNREADABLE",
    message: "/nowhere/volley.yaml:1:1 there is no such file",
  });
});

test("a byte-order mark is skipped", (context) => {
  assert.equal(load(context, "\uFEFFworkers: 3\n").config.workers, 3);
});

test("a trailing slash of the base address is dropped", (context) => {
  const { config } = load(context, "whatsapp: { baseUrl: http://127.0.0.1:9999/ }\n");
  assert.equal(config.whatsapp.baseUrl, "http://127.0.0.1:9999");
});

test("the secrets of a NATS user come from the environment, its files count from the working directory", (context) => {
  const text = `stream:
  driver: jetstream
  servers: ["tls://a.example:4222", "nats://[::1]:4223"]
  name: shop-2
  user: volley
  password: \${NATS_PASSWORD}
  tls: { caFile: ca.pem, certFile: /etc/volley.pem, keyFile: /etc/volley.key }
  monitoring: http://127.0.0.1:8222
`;
  const { config } = load(context, text, { NATS_PASSWORD: "12345" });
  const { stream } = config;
  assert.equal(stream.password, "12345");
  assert.deepEqual(stream.tls, { caFile: resolve("ca.pem"), certFile: "/etc/volley.pem", keyFile: "/etc/volley.key" });
  assert.equal(
    load(context, "stream: { credentialsFile: a.creds }\n").config.stream.credentialsFile,
    resolve("a.creds"),
  );
  assert.deepEqual(faultsOf(context, text), [
    "volley.yaml:6:13 stream.password: the environment variable NATS_PASSWORD is not set",
  ]);
});

test("ways to log in to NATS are told apart, and halves of them are no way", (context) => {
  const seed = `SU${"A".repeat(56)}`;
  assert.deepEqual(faultsOf(context, `stream: { user: a, password: b, token: c, nkeySeed: ${seed} }\n`), [
    'volley.yaml:1:33 stream.token: expected one way to log in, but "user" is another',
  ]);
  assert.deepEqual(faultsOf(context, "stream: { user: a }\n"), [
    'volley.yaml:1:11 stream.user: expected "password" beside it',
  ]);
  assert.deepEqual(faultsOf(context, "stream: { password: b, tls: { keyFile: k.pem } }\n"), [
    'volley.yaml:1:11 stream.password: expected "user" beside it',
    'volley.yaml:1:31 stream.tls.keyFile: expected "certFile" beside it',
  ]);
});

test("what cannot be a setting of NATS is told without repeating a secret", (context) => {
  const text = `stream:
  servers: ["nats://volley:s3cret@a.example:4222", "ws://a.example:80"]
  name: My_Shop
  nkeySeed: SUs3cret
  eventsMaxBytes: 1000
  ledgerMaxAgeDays: 1
  monitoring: 127.0.0.1:8222
`;
  const faults = faultsOf(context, text);
  assert.deepEqual(
    faults.map((fault) => fault.split(": expected")[0]),
    [
      "volley.yaml:2:13 stream.servers[0]",
      "volley.yaml:2:52 stream.servers[1]",
      "volley.yaml:3:9 stream.name",
      "volley.yaml:4:13 stream.nkeySeed",
      "volley.yaml:5:19 stream.eventsMaxBytes",
      "volley.yaml:6:21 stream.ledgerMaxAgeDays",
      "volley.yaml:7:15 stream.monitoring",
    ],
  );
  assert.match(faults[0] ?? "", /without a user/);
  assert.doesNotMatch(faults.join("\n"), /s3cret/);
});
