// Which node of a cluster this is: an id made once for the data directory, and a name for people.

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

import { writeDurably } from "./runtime/durable-file.ts";

const ID_BYTES = 8;
const ID = /^[0-9a-f]{16}$/;
/** In names of connections and consumers: what NATS allows there. */
const NAME_LENGTH_MAX = 40;

export function nodeIdentity(dataDir: string): { readonly nodeId: string; readonly nodeName: string } {
  const nodeId = idIn(join(dataDir, "node-id"));
  const host = hostname()
    .replaceAll(/[^\w-]+/g, "-")
    .slice(0, NAME_LENGTH_MAX);
  return { nodeId, nodeName: `${host}-${nodeId.slice(0, 6)}` };
}

function idIn(file: string): string {
  const known = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  if (ID.test(known)) return known;
  const made = randomBytes(ID_BYTES).toString("hex");
  writeDurably(file, `${made}\n`);
  return made;
}
