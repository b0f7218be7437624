// A free port for a server that is killed and started again on the same one.

import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports the kernel gives to outgoing connections: nobody else takes one of ours while its server is down. */
const PORT_MIN = 11_000;
const PORT_MAX = 31_000;
const TRIES_MAX = 1_000;

/** On 127.0.0.1. Two calls may name the same one as long as nobody listens on it: ask `not` to leave those out. */
export async function freePort(not: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (not.includes(port)) continue;
    const server = createServer();
    const isFree = Promise.race([
      once(server, "listening").then(() => true),
      once(server, "error").then(() => false),
    ]).catch(() => false);
    server.listen({ host: "127.0.0.1", port });
    // oxlint-disable-next-line no-await-in-loop -- one after the other, until one is free
    if (!(await isFree)) continue;
    // oxlint-disable-next-line no-await-in-loop -- the last step of this function
    await new Promise((done) => server.close(done));
    return port;
  }
  throw new Error("no port is free");
}
