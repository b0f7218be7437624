// The clock and the question of a send: is this partition's lease valid this moment? The main thread writes, actor threads
// read. process.hrtime is CLOCK_MONOTONIC, the same in all threads and running on while a process is stopped (SIGSTOP):
// a process that wakes up finds its leases lapsed before it does anything. It does not count time that the whole machine
// was suspended; after that only the ledger stream, which refuses an older owner, protects.

/** Milliseconds of the machine's monotonic clock: the same in all threads, of no use outside this machine. */
export function systemMonotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Whether this node may act for the partition now. `validUntil`: Membership.validUntil, of any thread. */
export function isValid(validUntil: Float64Array, partition: number): boolean {
  return systemMonotonicMs() < (validUntil[partition] ?? 0);
}
