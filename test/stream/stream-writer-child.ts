// Run as a process of its own by tests that kill it: appends without end, and prints each place that was promised.

import { openLmdbStream } from "../../engine/stream/lmdb-stream.ts";

const [path = "", payloadBytes = "200"] = process.argv.slice(2);
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const stream = openLmdbStream({ path, log: quiet });

try {
  for (let round = 0; ; round++) {
    const envelopes = [1, 2, 1].map((partition) => ({
      partition,
      bytes: Buffer.from(`round ${round} `.padEnd(Number(payloadBytes), ".")),
      claims: [],
    }));
    const positions = await stream.append(envelopes);
    if (round % 3 === 2) stream.trim(2, stream.lastSequence(2) - 1);
    process.stdout.write(
      `${positions.map(({ partition, sequence }) => `${partition}:${sequence}`).join(" ")} ${round}\n`,
    );
  }
} catch (error) {
  const refusals = await Promise.allSettled([stream.append([]), stream.append([])]);
  process.stdout.write(
    `${JSON.stringify({
      code: error instanceof Error && "code" in error ? error.code : String(error),
      failure: stream.failure()?.kind,
      later: refusals.map(({ status }) => status),
    })}\n`,
  );
}
