// What Meta's side knows: numbers, accounts, templates, tokens, people, and what it holds against each of them. Changes
// come in as data, the webhooks that tell of them go out as data; the moment is an argument.

import type { WhatsAppTemplate } from "../message/template.ts";
import { AccessTokens } from "./access-tokens.ts";
import { capabilityUpdate, restrictionUpdate, throughputUpdate } from "./account-notification.ts";
import {
  ALL,
  type AccountChange,
  type Change,
  type Mood,
  type NumberChange,
  type TemplateChange,
  type WebhookChange,
} from "./change.ts";
import type { FieldUpdate } from "./field-update.ts";
import type { Instant } from "./fine-clock.ts";
import { HeldMessages, type Settlement } from "./held-messages.ts";
import type { Inbound } from "./inbound.ts";
import { numberState, type AccountState, type NumberState, type SimulatedSender } from "./number-state.ts";
import { RecipientCount } from "./recipient-count.ts";
import type { Scenario } from "./scenario.ts";
import { TemplateBook } from "./template-book.ts";
import { templateUpdates } from "./template-notification.ts";
import { worldState } from "./world-state.ts";

/** What follows from changes. */
export interface Consequences {
  readonly updates: FieldUpdate[];
  /** Held messages whose end is decided now. */
  readonly settlements: Settlement[];
  /** What becomes of the webhooks; null: they go on as they are. */
  webhooks: WebhookChange["webhooks"] | null;
  /** Changes of what is not there. */
  readonly misses: string[];
}

export class World {
  readonly tokens: AccessTokens;
  readonly numbers: Map<string, NumberState> = new Map();
  readonly accounts: Map<string, AccountState> = new Map();
  /** What meets messages to these countries, by calling code. */
  readonly countries: Map<string, Mood> = new Map();
  /** Who stopped marketing messages, by WhatsApp's own switch. */
  readonly stopped: Set<string> = new Set();
  readonly recipients: RecipientCount;
  readonly held: HeldMessages = new HeldMessages();
  book: TemplateBook;
  dailyRecipients: number | "unlimited";
  #forms: Scenario["webhooks"];

  constructor(options: {
    readonly senders: readonly SimulatedSender[];
    readonly accessTokens: readonly string[] | null;
    readonly templates: readonly WhatsAppTemplate[];
    readonly scenario: Scenario;
  }) {
    for (const sender of options.senders) {
      const account = this.accounts.get(sender.wabaId) ?? {
        wabaId: sender.wabaId,
        marketingOnMessages: true,
        marketingMessages: "on",
        fails: null,
      };
      this.accounts.set(sender.wabaId, account);
      this.numbers.set(sender.phoneNumberId, numberState(sender, account));
    }
    this.tokens = new AccessTokens(options.accessTokens);
    this.book = new TemplateBook(options.templates);
    const [only, ...others] = this.numbers.values();
    // The people of the only number are those of the portfolio: counted once.
    this.recipients = only !== undefined && others.length === 0 ? only.recipients : new RecipientCount();
    this.dailyRecipients = options.scenario.limits.dailyRecipients;
    this.#forms = options.scenario.webhooks;
  }

  /** Its daily limit replaces the one of now only when the scenario changes it. */
  setScenario(scenario: Scenario, before: Scenario): void {
    this.#forms = scenario.webhooks;
    const { dailyRecipients } = scenario.limits;
    if (dailyRecipients !== before.limits.dailyRecipients) this.dailyRecipients = dailyRecipients;
  }

  setTemplates(templates: readonly WhatsAppTemplate[]): void {
    this.book = new TemplateBook(templates);
  }

  /** As changes: what was put comes back. */
  state(): readonly Change[] {
    return worldState(this);
  }

  apply(changes: readonly Change[], now: Instant): Consequences {
    const consequences: Consequences = { updates: [], settlements: [], webhooks: null, misses: [] };
    for (const change of changes) {
      const updatesBefore = consequences.updates.length;
      this.#apply(change, now, consequences);
      if (change.quiet === true) consequences.updates.length = updatesBefore;
    }
    return consequences;
  }

  /** What a person's message changes: only WhatsApp's own switch does. */
  receive(inbound: Inbound): void {
    if (inbound.preference === undefined) return;
    this.#setMarketing(inbound.from, inbound.preference === "stop");
  }

  #apply(change: Change, now: Instant, consequences: Consequences): void {
    if ("template" in change) this.#changeTemplates(change, now, consequences);
    else if ("number" in change) this.#changeNumbers(change, now, consequences);
    else if ("account" in change) this.#changeAccounts(change, now, consequences);
    else if ("callingCode" in change) setOrDelete(this.countries, change.callingCode, change.fails);
    else if ("dailyRecipients" in change) this.#changePortfolio(change.dailyRecipients, now, consequences);
    else if ("token" in change) this.tokens.change(change.token, change.valid);
    else if ("person" in change) this.#setMarketing(change.person, change.marketing === "stopped");
    else consequences.webhooks = change.webhooks;
  }

  #changeTemplates(change: TemplateChange, now: Instant, consequences: Consequences): void {
    const booked = this.book.named(change.template === ALL ? null : change.template, change.language);
    if (booked.length === 0) consequences.misses.push(`there is no template ${change.template}`);
    for (const one of booked) {
      const { template: before, mood } = one;
      const isPacing = mood.isHolding;
      this.book.change(one, changedFields(before, change, now));
      const [after = before] = this.book.named(before.name, before.language).map(({ template }) => template);
      if (after.status === "PAUSED" && before.status !== "PAUSED") mood.pauses++;
      if (change.fails !== undefined) mood.fails = change.fails;
      if (change.pacing !== undefined) mood.isHolding = change.pacing === "hold";
      consequences.settlements.push(...this.#settle(change, after, now));
      for (const { wabaId } of this.accounts.values()) {
        const account = { wabaId, atMs: now.wallMs, forms: this.#forms };
        consequences.updates.push(...templateUpdates({ before, after, pauses: mood.pauses, isPacing }, account));
      }
    }
  }

  #settle(change: TemplateChange, after: WhatsAppTemplate, now: Instant): Settlement[] {
    const isLost = change.status !== undefined && after.status !== "APPROVED" && after.status !== "PENDING";
    if (isLost) return this.held.drop(after, now);
    return change.pacing === "off" ? this.held.release(after, now) : [];
  }

  #changeNumbers(change: NumberChange, now: Instant, consequences: Consequences): void {
    const chosen = change.number === ALL ? [...this.numbers.values()] : [this.numbers.get(change.number)];
    for (const number of chosen) {
      if (number === undefined) {
        consequences.misses.push(`there is no number ${change.number}`);
        continue;
      }
      const before = number.messagesPerSecond;
      const { messagesPerSecond, trueMessagesPerSecond, throttles, quality, status, fails } = change;
      if (messagesPerSecond !== undefined) number.messagesPerSecond = messagesPerSecond;
      if (trueMessagesPerSecond !== undefined) number.trueMessagesPerSecond = trueMessagesPerSecond;
      if (throttles !== undefined) number.throttles = throttles;
      if (quality !== undefined) number.quality = quality;
      if (status !== undefined) number.status = status;
      if (fails !== undefined) number.fails = fails;
      const update = throughputUpdate(number, { before, after: number.messagesPerSecond }, now.wallMs);
      if (update !== null) consequences.updates.push(update);
    }
  }

  #changeAccounts(change: AccountChange, now: Instant, consequences: Consequences): void {
    const chosen = change.account === ALL ? [...this.accounts.values()] : [this.accounts.get(change.account)];
    for (const account of chosen) {
      if (account === undefined) {
        consequences.misses.push(`there is no account ${change.account}`);
        continue;
      }
      const before = account.fails;
      if (change.marketingOnMessages !== undefined) account.marketingOnMessages = change.marketingOnMessages;
      if (change.marketingMessages !== undefined) account.marketingMessages = change.marketingMessages;
      if (change.fails !== undefined) account.fails = change.fails;
      const update = restrictionUpdate(account.wabaId, { before, after: account.fails }, now.wallMs);
      if (update !== null) consequences.updates.push(update);
    }
  }

  #changePortfolio(dailyRecipients: number | "unlimited", now: Instant, consequences: Consequences): void {
    if (dailyRecipients === this.dailyRecipients) return;
    this.dailyRecipients = dailyRecipients;
    for (const { wabaId } of this.accounts.values()) {
      consequences.updates.push(capabilityUpdate(wabaId, dailyRecipients, this.#forms.dailyLimit, now.wallMs));
    }
  }

  #setMarketing(phoneNumber: string, isStopped: boolean): void {
    const waId = phoneNumber.replace("+", "");
    if (isStopped) this.stopped.add(waId);
    else this.stopped.delete(waId);
  }
}

/** Only what becomes different, so that a change to what is already so is none. */
function changedFields(before: WhatsAppTemplate, change: TemplateChange, now: Instant): Partial<WhatsAppTemplate> {
  const { status, category, correctCategory, quality, text } = change;
  return {
    ...(status !== undefined && { status }),
    ...(category !== undefined && category !== before.category && { category, previous_category: before.category }),
    // What was announced has happened.
    ...(category !== undefined && { correct_category: undefined }),
    ...(correctCategory !== undefined && { correct_category: correctCategory }),
    ...(quality !== undefined && { quality_score: { score: quality, date: Math.floor(now.wallMs / 1000) } }),
    ...(text !== undefined && { components: withText(before, text) }),
  };
}

function withText(template: WhatsAppTemplate, text: string): WhatsAppTemplate["components"] {
  return template.components.map((component) =>
    component.type.toUpperCase() === "BODY" ? { ...component, text } : component,
  );
}

function setOrDelete<Key, Value>(map: Map<Key, Value>, key: Key, value: Value | null): void {
  if (value === null) map.delete(key);
  else map.set(key, value);
}
