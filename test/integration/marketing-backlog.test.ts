// A campaign to a hundred thousand people is on its way when an order comes in: its confirmation goes first.

import assert from "node:assert/strict";
import { test } from "node:test";

import { runEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

const BACKLOG = 100_000;
const ARRAY_LENGTH = 1_000;
const WAIT_MS_MAX = 2_000;
const ORDERS = 5;

test(
  `a transactional message behind ${BACKLOG} of marketing on its number reaches WhatsApp within 2 s`,
  { timeout: 240_000 },
  async (context) => {
    const engine = await runEngine({
      messagesPerSecond: 80,
      campaigns: [greetingCampaign("offers", { lane: "marketing" }), greetingCampaign("orders")],
    });
    context.after(() => engine.stop());

    for (let first = 0; first < BACKLOG; first += ARRAY_LENGTH) {
      const events = Array.from({ length: ARRAY_LENGTH }, (_, index) => {
        const number = first + index;
        return { phone: `+4915${String(100_000_000 + number)}`, first_name: "Offer", order: `#${number}` };
      });
      // oxlint-disable-next-line no-await-in-loop -- in order, so that memory stays small
      const answer = await engine.post("/api/campaigns/offers/trigger", events);
      assert.equal(answer.status, 202);
    }

    const waits: number[] = [];
    for (let order = 0; order < ORDERS; order++) {
      const startMs = performance.now();
      const text = `Order-${order}`;
      // oxlint-disable-next-line no-await-in-loop -- one after the other: each meets the backlog alone
      await engine.post("/api/campaigns/orders/trigger", { phone: "+4915200000001", first_name: text, order: "#1" });
      // oxlint-disable-next-line no-await-in-loop -- see above
      await until(`${text} arrives`, async () => {
        const sends = await engine.simulator.received();
        return sends.some((send) => send.text.includes(text));
      });
      waits.push(performance.now() - startMs);
    }
    const stats = await engine.getJson<{ waiting: number }>("/api/campaigns/offers/stats");
    context.diagnostic(
      `waits: ${waits.map((ms) => `${ms.toFixed(0)} ms`).join(", ")}; behind them ${stats.waiting} wait`,
    );
    assert.ok(stats.waiting > BACKLOG * 0.9, "the backlog was there all the time");
    assert.ok(Math.max(...waits) < WAIT_MS_MAX, `waited ${Math.max(...waits)} ms`);
  },
);
