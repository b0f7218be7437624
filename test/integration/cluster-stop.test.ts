// An engine whose nats-server is gone ends all the same, and the next start finds everything.

import assert from "node:assert/strict";
import { test } from "node:test";

import { startNatsServer, withoutNats } from "../support/nats-server.ts";
import { runEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

/** Below the 30 s after which the command ends the process by force. */
const STOP_MS_MAX = 25_000;

test(
  "stops while its nats-server is away, and loses nothing",
  { skip: withoutNats, timeout: 120_000 },
  async (context) => {
    const nats = await startNatsServer();
    const engine = await runEngine({
      campaigns: [greetingCampaign("orders")],
      stream: { driver: "jetstream", servers: [nats.url] },
      messagesPerSecond: 20,
    });
    context.after(() => engine.stop());
    context.after(() => nats.stop());
    const events = Array.from({ length: 100 }, (_, index) => {
      return { phone: `+1415555${String(2000 + index)}`, first_name: "Ana", order: `#${index}` };
    });
    const answer = await engine.post("/api/campaigns/orders/trigger", events);
    assert.equal(answer.status, 202);
    await nats.kill();
    const startedMs = performance.now();
    const restarted = engine.restart();
    // The new engine waits for its server.
    const stoppedMs = await new Promise<number>((resolve) => {
      const look = setInterval(() => {
        if (engine.isRunning()) return;
        clearInterval(look);
        resolve(performance.now() - startedMs);
      }, 20);
    });
    assert.ok(stoppedMs < STOP_MS_MAX, `it took ${stoppedMs} ms to stop`);
    await nats.start();
    await restarted;
    // What an earlier run left in the outbox shows once the stream has given it back.
    await until("all are delivered", async () => {
      const rows = await engine.csv("orders");
      return rows.length === 100 && rows.every(({ status }) => status === "delivered");
    });
    const received = await engine.simulator.received();
    assert.equal(received.length, 100);
  },
);
