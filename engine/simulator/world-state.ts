// The state of Meta's side as a list of changes: put back, they lead to the same state.

import type { BookedTemplate } from "./booked-template.ts";
import type { Change, Mood } from "./change.ts";
import type { AccountState, NumberState } from "./number-state.ts";
import type { TemplateBook } from "./template-book.ts";
import { qualityOf } from "./template-notification.ts";

export interface ToldWorld {
  readonly book: TemplateBook;
  readonly numbers: ReadonlyMap<string, NumberState>;
  readonly accounts: ReadonlyMap<string, AccountState>;
  readonly countries: ReadonlyMap<string, Mood>;
  readonly stopped: ReadonlySet<string>;
  readonly dailyRecipients: number | "unlimited";
}

export function worldState(world: ToldWorld): readonly Change[] {
  return [
    ...world.book.named(null, undefined).map(templateState),
    ...[...world.numbers.values()].map(numberChange),
    ...[...world.accounts.values()].map(accountChange),
    ...[...world.countries].map(([callingCode, fails]) => ({ callingCode, fails })),
    { dailyRecipients: world.dailyRecipients },
    ...[...world.stopped].map((person) => ({ person, marketing: "stopped" as const })),
  ];
}

function templateState({ template, mood }: BookedTemplate): Change {
  return {
    template: template.name,
    language: template.language,
    status: template.status,
    category: template.category,
    quality: qualityOf(template),
    pacing: mood.isHolding ? "hold" : "off",
    fails: mood.fails,
  };
}

function numberChange(number: NumberState): Change {
  const { messagesPerSecond, trueMessagesPerSecond, throttles, quality, status, fails } = number;
  return {
    number: number.phoneNumberId,
    messagesPerSecond,
    trueMessagesPerSecond,
    throttles,
    quality,
    status,
    fails,
  };
}

function accountChange({ wabaId, marketingOnMessages, marketingMessages, fails }: AccountState): Change {
  return { account: wabaId, marketingOnMessages, marketingMessages, fails };
}
