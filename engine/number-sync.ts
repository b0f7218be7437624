// Keeps known what Meta grants each number: its throughput, and how many people its portfolio may reach in 24 hours.
// Read at the start, every quarter of an hour, and when a webhook says that something changed.

import type { Clock } from "./runtime/clock.ts";
import type { SenderConfig } from "./runtime/config.ts";
import { messageOf } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";
import type { ManagementCalls } from "./whatsapp/cloud-api-management.ts";
import { readNumber } from "./whatsapp/cloud-api-numbers.ts";
import { type NumberStanding, recipientLimitIn } from "./whatsapp/number-standing.ts";

const READ_EVERY_MS = 900_000;
/** After a failure: Meta may only be starting, or the network. Doubles up to READ_EVERY_MS. */
const RETRY_AFTER_MS = 10_000;
/** News of numbers come in swarms; one reading answers them all. */
const NEWS_REST_MS = 1_000;

/** Fields of webhooks that may change what a number may send. */
const NUMBER_NEWS: ReadonlySet<string> = new Set([
  "phone_number_quality_update",
  "business_capability_update",
  "account_update",
]);

export interface NumberSyncOptions {
  readonly calls: ManagementCalls;
  /** As they are now: tokens and senders may change. */
  senders(): readonly SenderConfig[];
  /** Called whenever a number was read. */
  onStanding(senderId: string, standing: NumberStanding): void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Reading {
  standing: NumberStanding | null;
  isUnderWay: boolean;
  /** Asked for while it was under way. */
  isOutdated: boolean;
  failures: number;
  cancelNext: () => void;
}

export class NumberSync {
  /** The first reading of all numbers is over, well or not. */
  readonly firstRound: Promise<void>;
  readonly #options: NumberSyncOptions;
  readonly #readings = new Map<string, Reading>();
  #isStopped = false;

  constructor(options: NumberSyncOptions) {
    this.#options = options;
    this.firstRound = Promise.all(options.senders().map((sender) => this.#read(sender.id))).then(() => undefined);
  }

  /** @param accountId the account that the webhook was about, or the portfolio; unknown ones concern every number. */
  notified(field: string, value: unknown, accountId: string): void {
    if (!NUMBER_NEWS.has(field)) return;
    const senders = this.#options.senders();
    const ofAccount = senders.filter(({ wabaId }) => wabaId === accountId);
    const concerned = ofAccount.length > 0 ? ofAccount : senders;
    const limit = recipientLimitIn(value);
    for (const { id } of concerned) {
      const standing = this.#readingOf(id).standing;
      if (limit !== null && standing !== null) this.#learned(id, { ...standing, dailyRecipients: limit });
      this.#readAfter(id, NEWS_REST_MS);
    }
  }

  /** A token or the senders changed. */
  refresh(): void {
    for (const { id } of this.#options.senders()) this.#readAfter(id, 0);
  }

  standingOf(senderId: string): NumberStanding | null {
    return this.#readings.get(senderId)?.standing ?? null;
  }

  stop(): void {
    this.#isStopped = true;
    for (const reading of this.#readings.values()) reading.cancelNext();
  }

  async #read(senderId: string): Promise<void> {
    const sender = this.#options.senders().find(({ id }) => id === senderId);
    if (sender === undefined || sender.accessToken === "" || this.#isStopped) return;
    const { calls, log } = this.#options;
    const reading = this.#readingOf(senderId);
    reading.isOutdated = reading.isUnderWay;
    if (reading.isUnderWay) return;
    reading.isUnderWay = true;
    let nextMs = READ_EVERY_MS;
    try {
      const standing = await readNumber({ calls, ...sender });
      reading.failures = 0;
      // Whatever else is unknown of the number: there is one.
      calls.noteRegistered(sender.wabaId);
      if (!this.#isStopped) this.#learned(senderId, standing);
    } catch (error) {
      nextMs = Math.min(READ_EVERY_MS, RETRY_AFTER_MS * 2 ** reading.failures++);
      if (!this.#isStopped) log.warn("number.unread", { senderId, reason: messageOf(error), nextMs });
    }
    reading.isUnderWay = false;
    this.#readAfter(senderId, reading.isOutdated ? NEWS_REST_MS : nextMs);
  }

  #learned(senderId: string, standing: NumberStanding): void {
    const reading = this.#readingOf(senderId);
    const isNews = JSON.stringify(standing) !== JSON.stringify(reading.standing);
    reading.standing = standing;
    if (isNews) this.#options.log.info("number.read", { senderId, ...standing });
    this.#options.onStanding(senderId, standing);
  }

  #readAfter(senderId: string, delayMs: number): void {
    if (this.#isStopped) return;
    const reading = this.#readingOf(senderId);
    reading.cancelNext();
    reading.cancelNext = this.#options.clock.after(delayMs, () => void this.#read(senderId));
  }

  #readingOf(senderId: string): Reading {
    const known = this.#readings.get(senderId);
    if (known !== undefined) return known;
    const reading: Reading = {
      standing: null,
      isUnderWay: false,
      isOutdated: false,
      failures: 0,
      cancelNext: () => {},
    };
    this.#readings.set(senderId, reading);
    return reading;
  }
}
