// Reads that see what was accepted before them. A 202 leaves when the event is in the stream; its row is in the ledger
// a few milliseconds later. So an operator's read first waits until the ledger holds all that the stream held when the
// read came: who got a 202 finds the message, and an export has a row for every event accepted before it.

import type { MessageArchive } from "./api/operators-api-deps.ts";
import type { LedgerReader } from "./ledger/ledger-reader.ts";
import { decodeMessageId } from "./message/ids.ts";
import { type Clock, passed } from "./runtime/clock.ts";
import type { Stream } from "./stream/stream.ts";

/** An actor thread that is further behind is overloaded or restarting: then what is there is shown. */
const WAIT_MS_MAX = 1_000;
const LOOK_EVERY_MS = 2;

export interface CatchUpDeps {
  readonly stream: Pick<Stream, "lastSequence">;
  /** One a partition, in their order. */
  readonly ledgers: readonly Pick<LedgerReader, "cursor">[];
  readonly clock: Clock;
}

export function createCaughtUpArchive(archive: MessageArchive, deps: CatchUpDeps): MessageArchive {
  return {
    find: async (messageId) => {
      await caughtUp(deps, decodeMessageId(messageId)?.partition);
      return archive.find(messageId);
    },
    search: async (query) => {
      await caughtUp(deps, query.campaign.partition);
      return archive.search(query);
    },
    exportCsv: async (query, sink) => {
      await caughtUp(deps, query.campaign.partition);
      return archive.exportCsv(query, sink);
    },
    replay: async (query) => {
      await caughtUp(deps, query.campaign.partition);
      return archive.replay(query);
    },
  };
}

async function caughtUp({ stream, ledgers, clock }: CatchUpDeps, partition: number | undefined): Promise<void> {
  const ledger = ledgers[partition ?? -1];
  if (partition === undefined || ledger === undefined) return;
  const sequence = stream.lastSequence(partition);
  const endMs = clock.monotonicMs() + WAIT_MS_MAX;
  while (ledger.cursor() < sequence && clock.monotonicMs() < endMs) {
    await passed(clock, LOOK_EVERY_MS);
  }
}
