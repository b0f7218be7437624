// Run as a process of its own by a test that kills it: appends numbered events without end, and prints each number once
// it was promised. Begins with the number before which everything was promised: that one it appends again.

import { openLmdbStream } from "../../engine/stream/lmdb-stream.ts";
import type { Stream } from "../../engine/stream/stream.ts";
import { claimingEnvelope, envelopeOf } from "./envelopes.ts";
import { startNode } from "./jetstream-node.ts";
import { quiet } from "./stream-reading.ts";

const [driver, path = "", ...rest] = process.argv.slice(2);

async function open(): Promise<Stream> {
  if (driver === "embedded") return openLmdbStream({ path, log: quiet });
  const [url = "", prefix = ""] = rest;
  return (await startNode({ url, prefix, path })).stream;
}

const stream = await open();
for (let number = Number(rest.at(-1)); ; number++) {
  // Every third with a claim: it waits for more than a place in the stream.
  await stream.append([number % 3 === 0 ? claimingEnvelope(`key ${number}`, number) : envelopeOf([number])]);
  process.stdout.write(`${number}\n`);
}
