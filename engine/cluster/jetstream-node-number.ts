// Claims this node's number: a key that only one create can win, kept for ever for this node id.

import { EngineError } from "../runtime/errors.ts";
import type { StoredKey } from "./bucket-view.ts";
import { meaningOf, NODE_NUMBERS, numberKey, parseNode } from "./cluster-record.ts";
import type { ClusterBucket } from "./jetstream-bucket.ts";
import { chooseNumber } from "./node-number.ts";

/** Each failed claim means that another node was faster, that an answer was lost, or that a new bucket is not whole yet. */
const CLAIMS_MAX = NODE_NUMBERS;
const PAUSE_MS = 100;

/**
 * @returns 0 to 255, the same at every start of this node id.
 * @throws EngineError ERR_NATS_CONNECT when JetStream does not answer, ERR_NATS_MISMATCH when all numbers are taken.
 */
export async function claimNodeNumber(bucket: ClusterBucket, nodeId: string): Promise<number> {
  for (let claims = 0; claims < CLAIMS_MAX; claims++) {
    // oxlint-disable-next-line no-await-in-loop -- each claim depends on what the one before met
    const { owners, inUse } = readNumbers(nodeId, await bucket.readAll((key) => meaningOf(key).kind !== "lease"));
    const choice = chooseNumber(nodeId, owners, inUse);
    if (choice.kind === "kept") return choice.number;
    if (choice.kind === "none") {
      throw new EngineError("ERR_NATS_MISMATCH", `all ${NODE_NUMBERS} node numbers of this cluster are taken`);
    }
    // oxlint-disable-next-line no-await-in-loop -- see above
    const result = await bucket.write(numberKey(choice.number), nodeId, 0);
    if (result.kind === "stored") return choice.number;
    // oxlint-disable-next-line no-await-in-loop -- see above
    await new Promise<void>((resolve) => void setTimeout(resolve, PAUSE_MS));
  }
  throw new EngineError("ERR_NATS_CONNECT", `no node number could be claimed in ${CLAIMS_MAX} attempts`);
}

function readNumbers(
  nodeId: string,
  entries: readonly StoredKey[],
): { owners: ReadonlyMap<number, string>; inUse: ReadonlySet<number> } {
  const owners = new Map<number, string>();
  const inUse = new Set<number>();
  for (const { key, text } of entries) {
    const meaning = meaningOf(key);
    // A deleted number key stays taken: numbers are kept for ever.
    if (meaning.kind === "number") owners.set(meaning.number, text ?? "");
    if (meaning.kind !== "node" || meaning.nodeId === nodeId) continue;
    const node = parseNode(text);
    if (node !== null) inUse.add(node.number);
  }
  return { owners, inUse };
}
