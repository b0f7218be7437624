// What WhatsApp has blocked (a token, an account, a number, a template) and how it is tried again: with one message.
//
//   open      nothing blocked. Left when a send comes back as blocked.
//   held      nothing is sent until `hold.untilMs`: 30 s, doubling to 10 min with each probe that is blocked again.
//   probing   the wait is over and one message is under way; nothing else is sent until its verdict. It got through:
//             open. Blocked again: held for longer. It says nothing about the block (a timeout): held for the base.
//
// A wrong token would otherwise be asked thousands of times, and a good message would be refused each time.

import assert from "node:assert/strict";

import type { MessageId } from "../message/ids.ts";
import type { BlockScope } from "../message/verdict.ts";
import { createHold, refused, release } from "./hold.ts";
import type { Hold } from "./hold.ts";

const BLOCK_BASE_MS = 30_000;
const BLOCK_MAX_MS = 600_000;

export interface Block {
  readonly hold: Hold;
  /** Why it is held; the last one, when open. */
  scope: BlockScope;
  probe: MessageId | null;
}

export function createBlock(): Block {
  return {
    hold: createHold({ baseMs: BLOCK_BASE_MS, maxMs: BLOCK_MAX_MS }),
    scope: "token",
    probe: null,
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
  const isNew = refused(block.hold, {
    sentAtMs: answer.sentAtMs,
    nowMs: answer.nowMs,
    atLeastMs: 0,
  });
  if (isNew) block.scope = answer.scope;
  return isNew;
}

/** Call for each message that leaves: the first one after the wait is the probe. */
export function probeWith(block: Block, messageId: MessageId): void {
  if (!isBlocked(block)) return;
  assert.equal(block.probe, null, "a second message leaves while a probe is under way");
  block.probe = messageId;
}

/** The probe got through. */
export function reopen(block: Block): void {
  block.probe = null;
  release(block.hold);
}

/** The probe came back, and nobody is the wiser. */
export function probeLater(block: Block, nowMs: number): void {
  block.probe = null;
  block.hold.untilMs = nowMs + BLOCK_BASE_MS;
}
