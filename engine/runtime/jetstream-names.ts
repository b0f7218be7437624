// Every name that Volley has inside NATS, in one place: two engines with other prefixes share a server without meeting,
// and whoever looks at `nats stream ls` or writes permissions finds what belongs to whom. Pure.

/** Upper-case names, as the NATS tools show them; a stream's name knows no dots. */
function streamWord(prefix: string): string {
  return prefix.toUpperCase().replaceAll("-", "_");
}

/** The stream of what was accepted: events and status updates of one partition. */
export function eventsStream(prefix: string, partition: number): string {
  return `${streamWord(prefix)}_EVENTS_${partition}`;
}

/** Envelopes without dedupe claims. */
export function eventsSubject(prefix: string, partition: number): string {
  return `${prefix}.events.${partition}`;
}

/** Envelopes that carry claims: what every node folds, and therefore filters for. */
export function claimsSubject(prefix: string, partition: number): string {
  return `${prefix}.events.${partition}.claims`;
}

/** The stream of what became of it: one entry a round of the partition's owner. */
export function ledgerStream(prefix: string, partition: number): string {
  return `${streamWord(prefix)}_LEDGER_${partition}`;
}

export function ledgerSubject(prefix: string, partition: number): string {
  return `${prefix}.ledger.${partition}`;
}

/** Leases, nodes and their numbers. */
export function clusterBucket(prefix: string): string {
  return `${prefix}_cluster`;
}

export function campaignsBucket(prefix: string): string {
  return `${prefix}_campaigns`;
}

export function keysBucket(prefix: string): string {
  return `${prefix}_keys`;
}

export function limitsBucket(prefix: string): string {
  return `${prefix}_limits`;
}

export function optOutsBucket(prefix: string): string {
  return `${prefix}_opt_outs`;
}
