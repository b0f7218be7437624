import assert from "node:assert/strict";
import { createHmac, randomInt } from "node:crypto";
import { after, test } from "node:test";

import { chance } from "../support/chance.ts";
import { mutatedBody } from "../support/mutation.ts";
import { ANN, campaignOf, startTriggers, trigger } from "./trigger-kit.ts";

const stage = await startTriggers();
after(() => stage.close());
stage.campaigns.set(
  "shop",
  campaignOf("shop", 2, { auth: { type: "hmac", header: "x-signature", encoding: "hex", secrets: ["s"] } }),
);

const TYPES = [
  "application/json",
  "application/json; charset=utf-8",
  "application/x-www-form-urlencoded",
  "text/plain",
];
const EXPECTED = { strict: new Set([200, 202, 400, 415, 422]), lenient: new Set([200, 400]) };

test("2,000 mutated bodies at both doors: an answer of the table for each, and never a 5xx", async (context) => {
  const seed = Number(process.env["VOLLEY_TEST_SEED"] ?? randomInt(2 ** 31));
  context.diagnostic(`seed ${seed}`);
  const below = chance(seed);
  const post = async (): Promise<void> => {
    const body = mutatedBody(below);
    const door = below(2) === 0 ? "strict" : "lenient";
    const headers = {
      "content-type": TYPES[below(TYPES.length)] ?? "",
      ...(below(3) === 0 ? { "idempotency-key": String(below(20)) } : {}),
      ...(door === "strict"
        ? { "x-api-key": stage.key }
        : { "x-signature": createHmac("sha256", "s").update(body).digest("hex") }),
    };
    const path = door === "strict" ? "/api/campaigns/orders/trigger" : "/hooks/shop";
    const response = await fetch(stage.server.url + path, { method: "POST", headers, body: new Uint8Array(body) });
    const text = await response.text();
    assert.ok(EXPECTED[door].has(response.status), `${response.status} for ${body.toString("latin1")}: ${text}`);
  };
  for (let round = 0; round < 40; round++) await Promise.all(Array.from({ length: 50 }, post));
  assert.deepEqual(stage.server.lines, []);
  assert.equal((await trigger(stage, ANN)).status, 202);
});
