// What the engine hears about people's wish, from webhooks and operators, and what it knows of them.
//
// Webhooks tell a person by number, by user id, or by both. Messages go to numbers, so a wish that came with a user id
// only waits under that id, and moves to the number with the first webhook that tells both: a status of the next message
// to that person does.

import type { ConsentSignal, KnownPerson } from "../message/consent-signal.ts";
import type { MessageId } from "../message/ids.ts";
import type { Clock } from "../runtime/clock.ts";
import { isLater, type OptOut, WORDS_LENGTH_MAX } from "./opt-out.ts";
import type { OptOutPage, OptOutPageQuery, OptOutStore } from "./opt-out-store.ts";
import { phoneIdentity, userIdentity } from "./phone-identity.ts";

export interface OptOutBookOptions {
  readonly store: OptOutStore;
  /** To whom a message went; null: it is not known here (any more). */
  phoneOf(messageId: MessageId): string | null;
  /** A signal of which nobody can say whose it is. */
  onNobody(signal: ConsentSignal): void;
  readonly clock: Pick<Clock, "nowMs">;
}

export interface OptOutItem {
  /** E.164 with its plus sign. */
  readonly phone: string;
  /** Epoch milliseconds; null: now. */
  readonly sinceMs: number | null;
  readonly source: string;
}

/** Meta's clock and ours differ a little. What lies further ahead is a mistake, and nothing could ever be later than it. */
const AHEAD_MS_MAX = 300_000;

export class OptOutBook {
  readonly #options: OptOutBookOptions;

  constructor(options: OptOutBookOptions) {
    this.#options = options;
  }

  /** Resolves once all of it is durable. @throws EngineError ERR_STORE_WRITE. */
  async hear(signals: readonly ConsentSignal[], people: readonly KnownPerson[]): Promise<void> {
    if (signals.length === 0 && people.length === 0) return;
    const wishes = new Wishes();
    const numbers = new Map(people.map(({ userId, waId }) => [userId, waId]));
    for (const signal of signals) this.#wish(signal, numbers, wishes);
    for (const person of people) this.#join(person, wishes);
    await this.#keep(wishes);
  }

  /** @returns how many are new; the others were known already, or were taken back since. @throws as `hear`. */
  async add(items: readonly OptOutItem[]): Promise<number> {
    const wishes = new Wishes();
    const nowMs = this.#options.clock.nowMs();
    for (const { phone, sinceMs, source } of items) {
      const key = phoneIdentity(phone);
      if (key === null) continue;
      wishes.add(key, { phone, userId: "", isOptedOut: true, sinceMs: sinceMs ?? nowMs, source, words: "" });
    }
    return this.#keep(wishes);
  }

  /** Marketing may reach the number again. False: it was not opted out. @throws as `hear`. */
  async remove(phone: string): Promise<boolean> {
    const key = phoneIdentity(phone);
    const known = key === null ? undefined : this.#options.store.get(key);
    if (key === null || known?.isOptedOut !== true) return false;
    // Later than what it takes back, whatever the clocks say.
    const sinceMs = Math.max(this.#options.clock.nowMs(), known.sinceMs + 1);
    const wish = { ...known, isOptedOut: false, sinceMs, source: "api", words: "" };
    await this.#options.store.keep(new Map([[key, wish]]));
    return true;
  }

  /** Undefined: not opted out. */
  find(phone: string): OptOut | undefined {
    const key = phoneIdentity(phone);
    const known = key === null ? undefined : this.#options.store.get(key);
    return known?.isOptedOut === true ? known : undefined;
  }

  page(query: OptOutPageQuery): OptOutPage {
    return this.#options.store.page(query);
  }

  #wish(signal: ConsentSignal, numbers: ReadonlyMap<string, string>, wishes: Wishes): void {
    const { userId, messageId, source } = signal;
    const waId = signal.waId || (numbers.get(userId) ?? "");
    const sentTo = messageId === null ? null : this.#options.phoneOf(messageId);
    const wish = {
      userId,
      isOptedOut: signal.kind === "stop",
      sinceMs: this.#timeOf(signal),
      source,
      words: signal.words.slice(0, WORDS_LENGTH_MAX),
    };
    let isSomebody = false;
    for (const phone of [sentTo ?? "", waId === "" ? "" : `+${waId}`]) {
      const key = phoneIdentity(phone);
      if (key === null) continue;
      wishes.add(key, { ...wish, phone });
      isSomebody = true;
    }
    if (isSomebody) return;
    if (userId === "") this.#options.onNobody(signal);
    else wishes.add(userIdentity(userId), { ...wish, phone: "" });
  }

  /** What is known of the user id counts for the number. */
  #join({ waId, userId }: KnownPerson, wishes: Wishes): void {
    const known = this.#options.store.get(userIdentity(userId));
    const key = phoneIdentity(waId);
    if (known !== undefined && key !== null) wishes.add(key, { ...known, phone: `+${waId}` });
  }

  /** Only what says something new: a webhook that came twice costs no commit. */
  async #keep(wishes: Wishes): Promise<number> {
    const fresh = new Map<string, OptOut>();
    for (const [key, wish] of wishes.latest) {
      const known = this.#options.store.get(key);
      if (known === undefined || isLater(wish, known)) fresh.set(key, wish);
    }
    return fresh.size === 0 ? 0 : this.#options.store.keep(fresh);
  }

  #timeOf({ atMs }: ConsentSignal): number {
    const nowMs = this.#options.clock.nowMs();
    return atMs === 0 || atMs > nowMs + AHEAD_MS_MAX ? nowMs : atMs;
  }
}

/** Of several wishes of one person the latest. */
class Wishes {
  readonly latest = new Map<string, OptOut>();

  add(key: string, wish: OptOut): void {
    const known = this.latest.get(key);
    if (known === undefined || isLater(wish, known)) this.latest.set(key, wish);
  }
}
