// Run as a thread or a process of its own by tests that end it: commits without end, and prints each promised cursor.

import { countTransition, emptyCounters } from "../../engine/ledger/counters.ts";
import { openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { idOf, NOON_MS, recordOf } from "./fixtures.ts";

const ROWS_A_COMMIT = 128;

const ledger = openLedger({ path: process.argv[2] ?? "", readOnly: false });
const counters = ledger.campaignStates()[0]?.counters ?? emptyCounters();

for (let cursor = ledger.cursor() + 1; ; cursor++) {
  const created = Array.from({ length: ROWS_A_COMMIT }, (_, index) => {
    const number = (cursor - 1) * ROWS_A_COMMIT + index;
    const changes = {
      phoneNumber: `+1415${5_550_000 + number}`,
      acceptedAtMs: NOON_MS + number,
      dueAtMs: NOON_MS + number,
    };
    return recordOf(idOf(number), changes);
  });
  for (const record of created) countTransition(counters, null, record);
  const state = {
    campaignNumber: 1,
    headId: idOf(0),
    diskFromId: "",
    tailId: created.at(-1)?.messageId ?? "",
    counters,
  };
  const marks = [{ key: `round/${String(cursor).padStart(9, "0")}`, value: Buffer.from(String(cursor)) }];
  // oxlint-disable-next-line no-await-in-loop -- one after the other, as a partition's thread does
  await ledger.commit({ created, updated: [], cursor, campaigns: [state], lastDispatchAtMs: NOON_MS, marks });
  process.stdout.write(`${cursor}\n`);
}
