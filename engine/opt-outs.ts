// Composition root of what is known about people's consent: the store, and the ledgers that know to whom a message went.

import { OptOutBook } from "./consent/opt-out-book.ts";
import type { OptOutStore } from "./consent/opt-out-store.ts";
import type { LedgerReader } from "./ledger/ledger-reader.ts";
import { decodeMessageId } from "./message/ids.ts";
import type { Log } from "./runtime/log.ts";
import { systemClock } from "./runtime/system-clock.ts";

export interface OptOutsParts {
  readonly store: OptOutStore;
  /** One a partition. In a cluster a node's table has the messages of all nodes. */
  readonly ledgers: readonly LedgerReader[];
  readonly log: Log;
}

export function createOptOuts({ store, ledgers, log }: OptOutsParts): OptOutBook {
  return new OptOutBook({
    store,
    phoneOf: (messageId) => ledgers[decodeMessageId(messageId)?.partition ?? -1]?.get(messageId)?.phoneNumber ?? null,
    onNobody: ({ source, messageId }) => log.warn("consent.of_nobody", { source, messageId }),
    clock: systemClock,
  });
}
