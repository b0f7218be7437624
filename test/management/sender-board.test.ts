import assert from "node:assert/strict";
import { test } from "node:test";

import type { SenderBlock, SenderReport } from "../../engine/actor/partition-deps.ts";
import { partitionOf } from "../../engine/message/partition.ts";
import type { BlockScope } from "../../engine/message/verdict.ts";
import { SenderBoard } from "../../engine/sender-board.ts";
import { senderOf } from "./sender.ts";

const SENDERS = [
  senderOf("a", { wabaId: "1", accessToken: "t1" }),
  senderOf("b", { wabaId: "1", accessToken: "t2" }),
  senderOf("c", { wabaId: "2", accessToken: "t1" }),
  senderOf("d", { wabaId: "3", accessToken: "t3" }),
];

function blockOf(scope: BlockScope, more: Partial<SenderBlock> = {}): SenderBlock {
  return { scope, subject: "", errorCode: 190, reason: "No.", sinceMs: 1, untilMs: 2, ...more };
}

function reportOf(...blocks: readonly SenderBlock[]): SenderReport {
  return { blocks, messagesPerSecond: 80, recipients: null };
}

function boardOf(): { board: SenderBoard; told: { scope: string; senderIds: readonly string[] }[] } {
  const told: { scope: string; senderIds: readonly string[] }[] = [];
  const board = new SenderBoard({
    senders: () => SENDERS,
    onRecipients: () => undefined,
    onBlockedElsewhere: ({ scope, senderIds }) => void told.push({ scope, senderIds }),
  });
  return { board, told };
}

test("a block of token, account or app is told to the others that it concerns, and of no other scope", () => {
  for (const [scope, senderIds] of [
    ["token", ["c"]],
    ["account", ["b"]],
    ["app", ["b", "c", "d"]],
    ["number", null],
    ["template", null],
    ["country", null],
  ] as const) {
    const { board, told } = boardOf();
    board.reported("a", reportOf(blockOf(scope)));
    assert.deepEqual(told, senderIds === null ? [] : [{ scope, senderIds }]);
  }
});

test("a block is told once, however often it is reported, and again when it comes again", () => {
  const { board, told } = boardOf();
  board.reported("a", reportOf(blockOf("token")));
  board.reported("a", reportOf(blockOf("token", { untilMs: 99 })));
  assert.equal(told.length, 1);
  board.reported("a", reportOf());
  board.reported("a", reportOf(blockOf("token")));
  assert.equal(told.length, 2);
  assert.deepEqual(board.reportOf("a")?.blocks, [blockOf("token")]);
});

test("a thread that starts anew has reported nothing, and codes nobody knows are counted", () => {
  const { board } = boardOf();
  board.reported("a", reportOf(blockOf("number")));
  board.threadStarted([partitionOf("a")]);
  assert.equal(board.reportOf("a"), null);
  for (const code of [131_999, 131_999, 7]) board.unknownCode(code);
  assert.deepEqual(board.unknownCodes, { "7": 1, "131999": 2 });
});
