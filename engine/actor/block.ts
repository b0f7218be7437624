// What WhatsApp has blocked (a token, an account, a number, a template, a country) and how it is tried again: with one
// message.
//
//   open      nothing blocked. Left when a send comes back as blocked.
//   held      nothing is sent until `hold.untilMs`: 30 s, doubling to 10 min with each probe that is blocked again.
//   probing   the wait is over and one message is under way; nothing else is sent until its verdict. It got through:
//             open. Blocked again: held for longer. It says nothing about the block (a timeout): held for the base.
//   doubted   the probe got through, but it was a webhook that told of the block: Meta takes such messages and fails
//             them later (131042, no payment). Nothing is sent for 10 s. A webhook says so again: held for longer.
//             None does: the next message that leaves opens it.
//
// A wrong token would otherwise be asked thousands of times, and a good message would be refused each time.

import assert from "node:assert/strict";

import type { MessageId } from "../message/ids.ts";
import type { BlockScope } from "../message/verdict.ts";
import { createHold, refused, release } from "./hold.ts";
import type { Hold } from "./hold.ts";

const BLOCK_BASE_MS = 30_000;
const BLOCK_MAX_MS = 600_000;
/** A failed status follows its message within seconds, as a rule. */
const DOUBT_MS = 10_000;

export interface Block {
  readonly hold: Hold;
  /** Why it is held; the last one, when open. */
  scope: BlockScope;
  /** Of a template: its key; of a country: its region; else empty. */
  readonly subject: string;
  probe: MessageId | null;
  /** A webhook told of it: that Meta takes a probe is not enough. */
  isLate: boolean;
  /** Its probe got through, and no webhook has said otherwise so far. */
  isDoubted: boolean;
}

export function createBlock(scope: BlockScope, subject: string): Block {
  return {
    hold: createHold({ baseMs: BLOCK_BASE_MS, maxMs: BLOCK_MAX_MS }),
    scope,
    subject,
    probe: null,
    isLate: false,
    isDoubted: false,
  };
}

export function isBlocked(block: Block): boolean {
  return block.hold.episodes > 0;
}

/** Monotonic: the earliest time for a message; Infinity while a probe is under way. */
export function blockedUntilMs(block: Block): number {
  if (!isBlocked(block)) return -Infinity;
  return block.probe === null ? block.hold.untilMs : Infinity;
}

/** A message that left at `sentAtMs` came back as blocked. @returns true when that is news. */
export function blockedAgain(block: Block, answer: { scope: BlockScope; sentAtMs: number; nowMs: number }): boolean {
  const { nowMs } = answer;
  const isNew = refused(block.hold, { sentAtMs: answer.sentAtMs, nowMs, atLeastMs: 0 });
  if (isNew) block.scope = answer.scope;
  if (isNew) block.isDoubted = false;
  return isNew;
}

/**
 * A webhook told of a message that was blocked. Nobody knows when that one left; but since the wait began only a probe
 * did, so while one is under way, or was taken a moment ago, it is the probe that failed. @returns true when that is news.
 */
export function blockedLate(block: Block, news: { scope: BlockScope; nowMs: number }): boolean {
  block.isLate = true;
  if (isBlocked(block) && !block.isDoubted && block.probe === null) return false;
  block.probe = null;
  return blockedAgain(block, { ...news, sentAtMs: Math.max(news.nowMs, block.hold.untilMs) });
}

/** Call for each message that leaves: the first one after the wait is the probe. */
export function probeWith(block: Block, messageId: MessageId): void {
  assert.ok(isBlocked(block) && block.probe === null, "a second message leaves while a probe is under way");
  block.probe = messageId;
}

/** The probe got through. @returns true when that opens the block. */
export function probePassed(block: Block, nowMs: number): boolean {
  if (!block.isLate) return true;
  block.probe = null;
  block.isDoubted = true;
  block.hold.untilMs = nowMs + DOUBT_MS;
  return false;
}

export function reopen(block: Block): void {
  block.probe = null;
  block.isLate = false;
  block.isDoubted = false;
  release(block.hold);
}

/** The probe came back, and nobody is the wiser. */
export function probeLater(block: Block, nowMs: number): void {
  block.probe = null;
  block.hold.untilMs = nowMs + BLOCK_BASE_MS;
}
