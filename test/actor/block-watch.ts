// Looks over a sender's shoulder: what it said is blocked, it must not send, but for one probe after each wait.

import assert from "node:assert/strict";

import type { SenderEffect } from "../../engine/actor/sender-actor.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { BlockScope } from "../../engine/message/verdict.ts";

/** What a message would be blocked by. */
export interface Blockable {
  readonly templateKey: string;
  readonly region: string;
}

interface Watched {
  readonly untilMs: number;
  probedAtMs: number;
  probe: MessageId | null;
}

/** The next probe after one that said nothing. */
const PROBE_AGAIN_MS = 30_000;

export class BlockWatch {
  /** How often each scope was blocked, and how many probes there were. */
  readonly counts: Map<string, number> = new Map();
  readonly #blocks = new Map<string, Watched>();

  blocked(effect: Extract<SenderEffect, { kind: "blocked" }>): void {
    this.#count(`blocked ${effect.scope}`);
    this.#blocks.set(keyOf(effect.scope, effect.subject), {
      untilMs: effect.untilMs,
      probedAtMs: -Infinity,
      probe: null,
    });
  }

  unblocked(effect: Extract<SenderEffect, { kind: "unblocked" }>): void {
    const isKnown = this.#blocks.delete(keyOf(effect.scope, effect.subject));
    assert.ok(isKnown, `${effect.scope} ${effect.subject} is unblocked and was not blocked`);
  }

  /** @param wallMs epoch. */
  dispatched(messageId: MessageId, message: Blockable, wallMs: number): void {
    const keys = [keyOf("number", ""), keyOf("template", message.templateKey), keyOf("country", message.region)];
    for (const key of keys) {
      const block = this.#blocks.get(key);
      if (block === undefined) continue;
      assert.ok(
        wallMs >= block.untilMs - 1,
        `a message leaves ${block.untilMs - wallMs} ms before ${key} may be probed`,
      );
      assert.ok(wallMs - block.probedAtMs >= PROBE_AGAIN_MS, `a second probe of ${key}`);
      block.probedAtMs = wallMs;
      block.probe = messageId;
      this.#count("probed");
    }
  }

  /** The probe came to the wrong door: it, or another, may go by the other one at once. */
  misrouted(messageId: MessageId): void {
    for (const block of this.#blocks.values()) if (block.probe === messageId) block.probedAtMs = -Infinity;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function keyOf(scope: BlockScope, subject: string): string {
  return scope === "template" || scope === "country" ? `${scope} ${subject}` : "the number";
}
