// What tests of the opt-outs say and hear.

import { OptOutBook } from "../../engine/consent/opt-out-book.ts";
import type { OptOutStore } from "../../engine/consent/opt-out-store.ts";
import type { OptOut } from "../../engine/consent/opt-out.ts";
import type { ConsentSignal } from "../../engine/message/consent-signal.ts";
import type { MessageId } from "../../engine/message/ids.ts";

export const NOW_MS: number = Date.parse("2026-11-23T12:00:00Z");

export function signalOf(more: Partial<ConsentSignal> = {}): ConsentSignal {
  return {
    kind: "stop",
    waId: "14155552671",
    userId: "",
    messageId: null,
    source: "text",
    words: "STOP",
    atMs: NOW_MS - 60_000,
    ...more,
  };
}

export function optOutOf(phone: string, more: Partial<OptOut> = {}): OptOut {
  return { phone, userId: "", isOptedOut: true, sinceMs: NOW_MS, source: "text", words: "STOP", ...more };
}

export interface BookScene {
  readonly book: OptOutBook;
  readonly nobodies: ConsentSignal[];
  /** To whom messages went. */
  readonly phones: Map<MessageId, string>;
}

export function sceneOf(store: OptOutStore): BookScene {
  const nobodies: ConsentSignal[] = [];
  const phones = new Map<MessageId, string>();
  const book = new OptOutBook({
    store,
    phoneOf: (messageId) => phones.get(messageId) ?? null,
    onNobody: (signal) => void nobodies.push(signal),
    clock: { nowMs: () => NOW_MS },
  });
  return { book, nobodies, phones };
}
