// One fault an invariant, planted between the core and what it needs: a check that cannot see its fault is no check.

import type { PartitionDeps } from "../../engine/actor/partition-deps.ts";
import type { InvariantName } from "./invariants.ts";

export type Plant = (deps: PartitionDeps) => PartitionDeps;

const ODD_ONES = 7;

export const PLANTED_FAULTS: Readonly<Partial<Record<InvariantName, Plant>>> = {
  // The stream forgets an entry now and then.
  "I1 nothing is lost": (deps) => ({
    ...deps,
    readStream: (after) => deps.readStream(after).filter(({ sequence }) => sequence % ODD_ONES !== 0),
  }),
  // Some requests carry another text than the event asked for.
  "I2 nothing is invented": (deps) => ({
    ...deps,
    send: (request, done) => {
      const isOdd = request.body.length % ODD_ONES === 0;
      deps.send(isOdd ? { ...request, body: request.body.replace("Hello", "Goodbye") } : request, done);
    },
  }),
  // An unknown outcome is taken for a certain one, and tried again at once.
  "I3 nothing is sent twice without need": (deps) => ({
    ...deps,
    send: (request, done) => {
      deps.send(request, (verdict) => {
        const isSure = verdict.kind === "accepted" && request.body.length % 2 === 0;
        done(isSure ? { kind: "transient", errorCode: 131_000, reason: "Taken for a refusal." } : verdict);
      });
    },
  }),
  // A number believes that it may send twice what it may.
  "I4 no limit is exceeded": (deps) => ({
    ...deps,
    senderSettings: (senderId) => {
      const settings = deps.senderSettings(senderId);
      return settings && { ...settings, messagesPerSecond: settings.messagesPerSecond * 2 };
    },
  }),
  // An answer's id gets lost on its way to the ledger.
  "I5 the ledger tells what WhatsApp saw": (deps) => ({
    ...deps,
    send: (request, done) => {
      deps.send(request, (verdict) =>
        done(verdict.kind === "accepted" ? { ...verdict, wamid: "wamid.other" } : verdict),
      );
    },
  }),
  // The last status to arrive wins.
  "I6 no status goes backwards": (deps) => ({
    ...deps,
    mergeStatus: (record, update) => ({ ...deps.mergeStatus(record, update), status: update.status, dueAtMs: 0 }),
  }),
  // What waits for a time is found only when it is looked for in the first half of a minute.
  "I8 work comes to its end": (deps) => ({
    ...deps,
    ledger: { ...deps.ledger, due: (range) => deps.ledger.due(range).filter(({ dueAtMs }) => dueAtMs % 2 === 0) },
  }),
  // Consent is asked of nobody.
  "I9 who said stop gets no marketing": (deps) => ({
    ...deps,
    marketing: { ...deps.marketing, refusal: () => null },
  }),
};
