// Broken and hostile callers against a whole engine: it neither crashes nor answers 5xx, and its memory stays flat.
// VOLLEY_HOSTILE=10000 for the long run, of bodies and of raw requests each.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";

import { chance } from "../support/chance.ts";
import { EngineProcess } from "../support/engine-process.ts";
import { mutatedBody, mutatedRequest } from "../support/mutation.ts";
import { createWorkspace, greetingCampaign } from "../support/workspace.ts";

const COUNT = Number(process.env["VOLLEY_HOSTILE"] ?? 1500);
const AT_ONCE = 50;
const TYPES = ["application/json", "application/x-www-form-urlencoded", "text/plain"];
const PATH = "/api/campaigns/orders/trigger";
/** The heap's own ups and downs are some 20 MB; a leak of 2 kB a request would show. */
const GROWTH_MB_MAX = 40;

test(
  `keeps its calm under ${COUNT} mutated bodies and ${COUNT} mutated requests`,
  { timeout: 300_000 },
  async (context) => {
    const seed = Number(process.env["VOLLEY_TEST_SEED"] ?? randomInt(2 ** 31));
    const below = chance(seed);
    const workspace = await createWorkspace({
      whatsappUrl: "http://127.0.0.1:9",
      campaigns: [greetingCampaign("orders")],
    });
    const engine = new EngineProcess(workspace);
    context.after(async () => {
      await engine.end("SIGKILL");
      workspace.remove();
    });
    await engine.start();
    const key = engine.adminKey;

    const post = async (): Promise<void> => {
      const body = mutatedBody(below);
      const headers = { "x-api-key": key, "content-type": TYPES[below(TYPES.length)] ?? "" };
      const answer = await fetch(workspace.url + PATH, { method: "POST", headers, body: new Uint8Array(body) });
      const text = await answer.text();
      const isExpected = [200, 202, 400, 415, 422].includes(answer.status);
      assert.ok(isExpected, `seed ${seed}: ${answer.status} for ${body.toString("latin1")}: ${text}`);
    };
    const send = async (): Promise<void> => {
      const bytes = mutatedRequest(below, PATH);
      const socket = connect(workspace.port, "127.0.0.1");
      let answer = "";
      socket.on("error", () => {});
      socket.on("data", (data) => (answer += data.toString("latin1")));
      const closed = once(socket, "close");
      socket.write(bytes, () => (below(2) === 0 ? socket.destroy() : socket.end()));
      await closed;
      assert.doesNotMatch(answer, /^HTTP\/1\.1 5(?!0[35])/, `seed ${seed}: ${bytes.toString("latin1")}`);
    };
    const repeat = async (call: () => Promise<void>): Promise<void> => {
      for (let done = 0; done < COUNT; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, call));
    };

    // Warm: code compiled, buffers and pools at their size.
    await repeat(post);
    await repeat(send);
    const before = engine.memoryMb();
    await repeat(post);
    await repeat(send);
    const after = engine.memoryMb();
    context.diagnostic(`seed ${seed}: ${before.toFixed(0)} MB before, ${after.toFixed(0)} MB after`);
    assert.ok(after - before < GROWTH_MB_MAX, `seed ${seed}: memory grew from ${before} to ${after} MB`);
    assert.equal((await fetch(`${workspace.url}/readyz`)).status, 200);
  },
);
