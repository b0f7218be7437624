// A replay asked for on one node, done on the node that owns the partition. A request of plain NATS: it is not lost
// silently, because its caller waits for the count.

import type { Msg } from "@nats-io/transport-node";

import type { MessageId } from "../message/ids.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";

interface ReplayRequest {
  readonly partition: number;
  readonly ids: readonly MessageId[];
  readonly maxPerSecond: number;
}

const TIMEOUT_MS = 10_000;
/** So that a request stays far below NATS's largest message. */
const IDS_A_REQUEST = 10_000;

/**
 * @returns How many were queued anew.
 * @throws EngineError ERR_CLUSTER_UNAVAILABLE when no node that owns the partition answers.
 */
export async function requestReplay(link: NatsLink, { partition, ids, maxPerSecond }: ReplayRequest): Promise<number> {
  let count = 0;
  for (let start = 0; start < ids.length; start += IDS_A_REQUEST) {
    const request = { partition, ids: ids.slice(start, start + IDS_A_REQUEST), maxPerSecond };
    // oxlint-disable-next-line no-await-in-loop -- one after the other keeps them in their order
    count += await ask(link, request);
  }
  return count;
}

/**
 * Answers the requests of other nodes.
 *
 * @param replay Null when this node does not own the partition: another one answers.
 * @returns Ends it.
 */
export function answerReplays(
  link: NatsLink,
  replay: (partition: number, ids: readonly MessageId[], maxPerSecond: number) => Promise<number | null>,
): () => void {
  const answer = async (message: Msg): Promise<void> => {
    const { partition, ids, maxPerSecond } = message.json<ReplayRequest>();
    const count = await replay(partition, ids, maxPerSecond);
    if (count !== null) message.respond(JSON.stringify(count));
  };
  const subscription = link.connection.subscribe(subjectOf(link), {
    callback: (error, message) => {
      if (error === null) void answer(message);
    },
  });
  return () => subscription.unsubscribe();
}

async function ask(link: NatsLink, request: ReplayRequest): Promise<number> {
  try {
    const answer = await link.connection.request(subjectOf(link), JSON.stringify(request), { timeout: TIMEOUT_MS });
    return answer.json<number>();
  } catch (error) {
    const message = `no node that owns partition ${request.partition} answers: ${messageOf(error)}`;
    throw new EngineError("ERR_CLUSTER_UNAVAILABLE", message, { cause: error });
  }
}

function subjectOf(link: NatsLink): string {
  return `${link.prefix}.replay`;
}
