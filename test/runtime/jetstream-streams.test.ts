import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { RetentionPolicy } from "@nats-io/jetstream";

import type { StreamConfig } from "../../engine/runtime/config.ts";
import type { NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import { adviceFor, describeServer, fsyncText } from "../../engine/runtime/jetstream-server.ts";
import type { ServerFacts } from "../../engine/runtime/jetstream-server.ts";
import { ensureStreams } from "../../engine/runtime/jetstream-streams.ts";
import { startNatsCluster, startNatsServer, withoutNats } from "../support/nats-server.ts";
import type { NatsServer } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import { connectTo, keptLog, streamConfig } from "./jetstream-settings.ts";

const skip = withoutNats;
const MIB = 1024 * 1024;

interface Bench {
  readonly server: NatsServer;
  readonly link: NatsLink;
  readonly config: StreamConfig;
}

async function benchFor(
  context: TestContext,
  { settings = {}, config }: { settings?: Partial<StreamConfig>; config?: string } = {},
): Promise<Bench> {
  const server = await startNatsServer(config === undefined ? {} : { config });
  context.after(() => server.stop());
  return { server, ...(await linkFor(context, server.url, settings)) };
}

async function linkFor(context: TestContext, url: string, settings: Partial<StreamConfig> = {}) {
  const link = await connectTo({ server: { url }, settings });
  context.after(() => link.close());
  return { link, config: streamConfig(url, settings) };
}

async function streamNames(link: NatsLink): Promise<string[]> {
  const names: string[] = [];
  for await (const name of link.manager.streams.names()) names.push(name);
  return names.toSorted();
}

const createdIn = (lines: ReturnType<typeof keptLog>["lines"]): unknown[] =>
  lines.filter(({ event }) => event === "streams.ready").map(({ fields }) => fields["created"]);

test("two streams a partition are made once, with limits and without forgetting", { skip }, async (context) => {
  const { link, config } = await benchFor(context, { settings: { name: "my-shop" } });
  const { log, lines } = keptLog();
  await ensureStreams(link, config, log);
  await ensureStreams(link, config, log);
  assert.deepEqual(createdIn(lines), [16, 0]);
  assert.equal((await streamNames(link)).length, 16);
  const { config: events } = await link.manager.streams.info("MY_SHOP_EVENTS_3");
  assert.deepEqual(events.subjects, ["my-shop.events.3", "my-shop.events.3.claims"]);
  assert.deepEqual(
    [events.retention, events.discard, events.storage, events.num_replicas, events.max_bytes],
    ["limits", "new", "file", 1, MIB],
  );
  assert.deepEqual([events.max_age / 3.6e12, events.duplicate_window / 1e9], [73, 120]);
  const { config: ledger } = await link.manager.streams.info("MY_SHOP_LEDGER_7");
  assert.deepEqual([ledger.subjects, ledger.max_bytes, ledger.max_age / 8.64e13], [["my-shop.ledger.7"], 2 * MIB, 30]);
});

test("engines that start at once, with one name or two, all succeed", { skip }, async (context) => {
  const { server, link, config } = await benchFor(context);
  const second = await linkFor(context, server.url);
  const stranger = await linkFor(context, server.url, { name: "other" });
  const { log, lines } = keptLog();
  await Promise.all([
    ensureStreams(link, config, log),
    ensureStreams(second.link, second.config, log),
    ensureStreams(stranger.link, stranger.config, log),
  ]);
  assert.equal((await streamNames(link)).length, 32);
  assert.equal(lines.length, 3);
});

test(
  "a stream that is otherwise is left alone and told, with the command that changes it",
  { skip },
  async (context) => {
    const { link, config } = await benchFor(context);
    const { log } = keptLog();
    await ensureStreams(link, config, log);
    await link.manager.streams.update("VOLLEY_EVENTS_2", { max_bytes: 3 * MIB, max_age: 3600e9, max_msgs: 5 });
    await link.manager.streams.update("VOLLEY_LEDGER_0", { subjects: ["volley.ledger.0", "more"] });
    await link.manager.streams.delete("VOLLEY_LEDGER_5");
    await link.manager.streams.add({
      ...(await link.manager.streams.info("VOLLEY_LEDGER_4")).config,
      name: "VOLLEY_LEDGER_5",
      subjects: ["volley.ledger.5"],
      retention: RetentionPolicy.Workqueue,
    });
    await assert.rejects(ensureStreams(link, config, log), {
      code: "ERR_NATS_MISMATCH",
      message: [
        "stream VOLLEY_LEDGER_0 has subjects volley.ledger.0, more, wanted is volley.ledger.0: nats stream edit VOLLEY_LEDGER_0 --subjects=volley.ledger.0",
        "stream VOLLEY_EVENTS_2 has max_bytes 3145728, wanted is 1048576 (stream.eventsMaxBytes): nats stream edit VOLLEY_EVENTS_2 --max-bytes=1048576",
        "stream VOLLEY_EVENTS_2 has max_age 3600s, wanted is 262800s: nats stream edit VOLLEY_EVENTS_2 --max-age=262800s",
        "stream VOLLEY_EVENTS_2 has max_msgs 5, wanted is -1: nats stream edit VOLLEY_EVENTS_2 --max-msgs=-1",
        "stream VOLLEY_LEDGER_5 has retention workqueue, wanted is limits: this cannot be changed; choose another stream.name, or delete the stream and what it holds: nats stream rm VOLLEY_LEDGER_5",
      ].join("\n"),
    });
    assert.equal((await link.manager.streams.info("VOLLEY_EVENTS_2")).config.max_bytes, 3 * MIB);
  },
);

test("a server without room names the settings to lower", { skip }, async (context) => {
  const { link, config } = await benchFor(context, { config: "jetstream { max_file: 20MB }" });
  await assert.rejects(ensureStreams(link, config, keptLog().log), {
    code: "ERR_NATS_REFUSED",
    message:
      /insufficient storage.*All streams together reserve 25165824 bytes.*stream\.eventsMaxBytes 1048576.*stream\.ledgerMaxBytes 2097152.*max_file/,
  });
});

test("a server that is just filled by its own streams still starts", { skip }, async (context) => {
  const { link, config } = await benchFor(context, { config: "jetstream { max_file: 24MB }" });
  const { log, lines } = keptLog();
  const room = { ...config, eventsMaxBytes: MIB, ledgerMaxBytes: 2_000_000 };
  await ensureStreams(link, room, log);
  await ensureStreams(link, room, log);
  assert.deepEqual(createdIn(lines), [16, 0]);
});

test("replicas on a single server, and a subject that another stream has, are told", { skip }, async (context) => {
  const { link, config } = await benchFor(context);
  const { log } = keptLog();
  await assert.rejects(ensureStreams(link, { ...config, replicas: 3 }, log), {
    code: "ERR_NATS_REFUSED",
    message: /stream\.replicas is 3; a single server can keep 1/,
  });
  await link.manager.streams.add({ name: "GREEDY", subjects: ["volley.>"] });
  await assert.rejects(ensureStreams(link, config, log), {
    code: "ERR_NATS_MISMATCH",
    message: /VOLLEY_\w+_0: another stream already takes volley\.\w+\.0.*nats stream find --subject=volley\.\w+\.0/,
  });
});

test("a server without JetStream, and a user without the right to use it, are told", { skip }, async (context) => {
  const users = `authorization { users: [{ user: u, password: p, permissions: { publish: { deny: ["$JS.>"] } } }] }`;
  const { link, config } = await benchFor(context, { config: users, settings: { user: "u", password: "p" } });
  await assert.rejects(ensureStreams(link, config, keptLog().log), {
    code: "ERR_NATS_REFUSED",
    message: /Permissions Violation.*\$JS\.API/i,
  });
  const without = `accounts { A { users: [{ user: u, password: p }] } }`;
  const plain = await benchFor(context, { config: without, settings: { user: "u", password: "p" } });
  const { log, lines } = keptLog();
  await assert.rejects(ensureStreams(plain.link, plain.config, log, { timeoutMs: 600 }), {
    code: "ERR_NATS_CONNECT",
    message: /within 600 ms.*JetStream/,
  });
  assert.deepEqual(createdIn(lines), []);
});

test("in a cluster the streams have replicas; without quorum they are waited for", { skip }, async (context) => {
  const cluster = await startNatsCluster();
  context.after(() => cluster.stop());
  const settings = { replicas: 3, servers: cluster.urls };
  const { link, config } = await linkFor(context, cluster.urls[0] ?? "", settings);
  const second = await linkFor(context, cluster.urls[1] ?? "", settings);
  const { log, lines } = keptLog();
  await Promise.all([ensureStreams(link, config, log), ensureStreams(second.link, second.config, log)]);
  assert.equal((await link.manager.streams.info("VOLLEY_EVENTS_0")).config.num_replicas, 3);
  await assert.rejects(ensureStreams(link, { ...config, replicas: 1 }, log), {
    code: "ERR_NATS_MISMATCH",
    message: /num_replicas 3, wanted is 1 \(stream\.replicas\): nats stream edit VOLLEY_\w+ --replicas=1/,
  });

  const [first, ...others] = cluster.servers;
  await Promise.all(others.map((server) => server.kill()));
  await until(
    "the link is on the server that is left",
    () => link.isConnected() && link.connection.getServer() === `127.0.0.1:${first?.port}`,
  );
  await assert.rejects(ensureStreams(link, { ...config, name: "late" }, log, { timeoutMs: 1000 }), {
    code: "ERR_NATS_CONNECT",
  });
  const waiting = ensureStreams(link, { ...config, name: "late" }, log, { timeoutMs: 60_000 });
  await Promise.all(others.map((server) => server.start()));
  await waiting;
  assert.equal(createdIn(lines).at(-1), 16);
  await describeServer(link, config, log);
  const { fields } = lines.at(-1) ?? {};
  assert.equal(fields?.["clusterSize"], undefined);
  assert.equal(fields?.["replicas"], 3);
});

test("the log has one line on the server, with advice", { skip }, async (context) => {
  const { link, config } = await benchFor(context);
  const { log, lines } = keptLog();
  await describeServer(link, config, log);
  assert.equal(lines.length, 1);
  const { event, fields } = lines[0] ?? assert.fail("no line");
  assert.equal(event, "nats.server");
  assert.equal(fields["clusterSize"], 1);
  assert.match(String(fields["fsync"]), /^(never before the acknowledgement|unknown: set stream\.monitoring)/);
});

test(
  "monitoring tells when the server writes through; when it does not answer, that is no obstacle",
  { skip },
  async (context) => {
    const { link, config } = await benchFor(context);
    const page = {
      config: { sync_interval: 10_000_000_000 },
      meta_cluster: { name: "c", leader: "n1", cluster_size: 3 },
    };
    const monitoring = createServer((_, reply) => reply.end(JSON.stringify(page))).listen(0, "127.0.0.1");
    await once(monitoring, "listening");
    const address = `http://127.0.0.1:${(monitoring.address() as AddressInfo).port}`;
    const { log, lines } = keptLog();
    await describeServer(link, { ...config, monitoring: `${address}/` }, log);
    assert.equal(lines.at(-1)?.fields["clusterSize"], 3);
    assert.match(String(lines.at(-1)?.fields["advice"]), /stream\.replicas: 3/);
    monitoring.close();
    await once(monitoring, "close");
    await describeServer(link, { ...config, monitoring: address }, log);
    assert.deepEqual(
      lines.slice(1).map(({ event }) => event),
      ["nats.unmonitored", "nats.server"],
    );
  },
);

test("what is said of fsync and advised follows from version and monitoring", () => {
  const facts = (given: Partial<ServerFacts>): ServerFacts => ({
    version: "2.14.7",
    clusterSize: 1,
    replicas: 1,
    isMonitored: true,
    sync: { isAlways: false, intervalSeconds: 120 },
    ...given,
  });
  assert.match(fsyncText(facts({ version: "2.9.10", sync: null })), /^never before the acknowledgement/);
  assert.equal(fsyncText(facts({})), "every 120 s");
  assert.equal(fsyncText(facts({ sync: { isAlways: true, intervalSeconds: 0 } })), "before each acknowledgement");
  assert.equal(fsyncText(facts({ isMonitored: false, sync: null })), "unknown: set stream.monitoring");
  assert.equal(fsyncText(facts({ sync: null })), "unknown: the monitoring does not tell");
  assert.equal(fsyncText(facts({ version: "3.0.0-beta" })), "every 120 s");
  assert.deepEqual(adviceFor(facts({ sync: { isAlways: true, intervalSeconds: 0 } })), []);
  assert.match(adviceFor(facts({})).join(), /sync_interval: always/);
  assert.match(adviceFor(facts({ version: "2.10.22" })).join(), /Update nats-server/);
  assert.doesNotMatch(adviceFor(facts({ version: "2.10.23" })).join(), /Update/);
  assert.match(adviceFor(facts({ version: "2.9.10", sync: null })).join(), /sends it again from its own disk/);
  assert.match(adviceFor(facts({ clusterSize: 3 })).join(), /stream\.replicas: 3/);
});
