// The blocks of a sender and their probes: one for what concerns all that leaves (its token, app, account and number),
// one for each blocked template, whatever campaigns use it, and one for each blocked country. Those of templates and
// countries exist only while they are blocked, so that a number in good standing pays nothing for them.

import type { MessageId } from "../message/ids.ts";
import type { BlockScope, Verdict } from "../message/verdict.ts";
import {
  blockedAgain,
  blockedLate,
  createBlock,
  isBlocked,
  probeLater,
  probePassed,
  probeWith,
  reopen,
} from "./block.ts";
import type { Block } from "./block.ts";
import type { Campaign } from "./campaign-actor.ts";
import type { Now, SenderInput } from "./sender-messages.ts";
import { rouse, wallTime } from "./sender-state.ts";
import type { Flight, Sender } from "./sender-state.ts";

type Blocked = Extract<Verdict, { kind: "blocked" }>;
type BlockedElsewhere = Extract<SenderInput, { kind: "blockedElsewhere" }>;

const NO_PROBES: readonly Block[] = [];

export function templateBlockOf(sender: Sender, campaign: Campaign): Block | undefined {
  return sender.templateBlocks.size === 0 ? undefined : sender.templateBlocks.get(campaign.settings.templateKey);
}

export function countryBlockOf(sender: Sender, phoneNumber: string): Block | undefined {
  return sender.countryBlocks.size === 0 ? undefined : sender.countryBlocks.get(sender.regionOf(phoneNumber));
}

/** A message leaves: past blocks that are over, and as the probe of those that are not. @returns what it probes. */
export function passBlocks(
  sender: Sender,
  campaign: Campaign,
  country: Block | undefined,
  messageId: MessageId,
): readonly Block[] {
  const template = templateBlockOf(sender, campaign);
  if (template === undefined && country === undefined && !isBlocked(sender.block)) return NO_PROBES;
  const probes: Block[] = [];
  for (const block of [sender.block, template, country]) {
    if (block === undefined || !isBlocked(block)) continue;
    if (block.isDoubted) {
      lift(sender, block);
    } else {
      probeWith(block, messageId);
      probes.push(block);
    }
  }
  return probes;
}

/** What the message of a refusal was. */
export interface Refused {
  readonly templateKey: string;
  readonly phoneNumber: string;
}

/** A message that left at `sentAtMs` (monotonic) came back as blocked. */
export function meetBlock(
  sender: Sender,
  message: Refused,
  verdict: Blocked,
  times: { readonly sentAtMs: number; readonly now: Now },
): void {
  const { scope } = verdict;
  const { sentAtMs, now } = times;
  if (isOfToken(scope) && sentAtMs < sender.tokenSinceMs) return;
  const block = blockFor(sender, message, scope);
  if (block === null) return;
  const before = isBlocked(block) ? block.scope : null;
  if (blockedAgain(block, { scope, sentAtMs, nowMs: now.monotonicMs }))
    tellBlocked(sender, block, before, verdict, now);
}

/** A status webhook told of a message that was blocked. */
export function meetBlockLate(sender: Sender, message: Refused, verdict: Blocked, now: Now): void {
  const { scope } = verdict;
  const block = blockFor(sender, message, scope);
  if (block === null) return;
  const before = isBlocked(block) ? block.scope : null;
  if (!blockedLate(block, { scope, nowMs: now.monotonicMs })) return;
  tellBlocked(sender, block, before, verdict, now);
}

/** One that waits or probes already goes on at its own pace. */
export function meetBlockElsewhere(sender: Sender, input: BlockedElsewhere, now: Now): void {
  const { block } = sender;
  const { scope } = input;
  // Numbers have no template, no country and no number in common: what is told of those is none of this one's.
  if (scope === "template" || scope === "country" || scope === "number") return;
  if (isBlocked(block)) return;
  blockedAgain(block, { scope, sentAtMs: now.monotonicMs, nowMs: now.monotonicMs });
  tellBlocked(sender, block, null, input, now);
}

/** Answers to what left with the old token say nothing from now on. */
export function changeToken(sender: Sender, now: Now): void {
  sender.tokenSinceMs = now.monotonicMs;
  if (isBlocked(sender.block) && isOfToken(sender.block.scope)) lift(sender, sender.block);
}

/** Its campaign is gone or has another template: without one, nobody would ever probe the block. */
export function dropTemplate(sender: Sender, templateKey: string): void {
  const block = sender.templateBlocks.get(templateKey);
  if (block !== undefined && campaignsWith(sender, templateKey).length === 0) lift(sender, block);
}

/** What a verdict says of a block: it is lifted, it stands, nothing, or nothing yet: the probe asks at another door. */
type News = "lifted" | "stands" | "none" | "elsewhere";

/** `proved`: a status webhook was quicker than the verdict. */
export function settleProbes(sender: Sender, flight: Flight, verdict: Verdict | "proved", now: Now): void {
  for (const block of flight.probes) {
    // Lifted meanwhile, by a new token: then this message is no probe any more.
    if (block.probe !== flight.dispatch.messageId) continue;
    settleProbe(sender, block, verdict === "proved" ? "lifted" : newsOf(block, verdict), now);
  }
}

/**
 * Whether Meta itself answered: then the round trip says something about the way there, and the answer about blocks.
 * A rejection without a code is our own: the template could not be filled.
 */
export function isFromMeta(verdict: Verdict): boolean {
  if (verdict.kind === "rejected") return verdict.errorCode !== null;
  return verdict.kind !== "transient" && verdict.kind !== "unknown";
}

function settleProbe(sender: Sender, block: Block, news: News, now: Now): void {
  switch (news) {
    case "lifted":
      if (probePassed(block, now.monotonicMs)) return lift(sender, block);
      break;
    case "stands":
      // Held for longer when the message itself is settled: see meetBlock.
      block.probe = null;
      break;
    case "elsewhere":
      block.probe = null;
      break;
    case "none":
      probeLater(block, now.monotonicMs);
  }
  rouseWaiting(sender, block);
}

/** Meta looks at the token, the account and the number before it judges the message, its template or its country. */
function newsOf(block: Block, verdict: Verdict): News {
  if (verdict.kind === "blocked" && isSameKind(block.scope, verdict.scope)) return "stands";
  if (verdict.kind === "misrouted" && !isOwn(block.scope)) return "elsewhere";
  switch (block.scope) {
    case "template":
      if (verdict.kind === "throttled" || verdict.kind === "blocked") return "none";
      return isFromMeta(verdict) ? "lifted" : "none";
    case "country":
      return verdict.kind === "accepted" ? "lifted" : "none";
    case "token":
    case "app":
    case "account":
    case "number":
      return isFromMeta(verdict) ? "lifted" : "none";
  }
}

function isSameKind(one: BlockScope, other: BlockScope): boolean {
  return isOwn(one) ? isOwn(other) : one === other;
}

function isOwn(scope: BlockScope): boolean {
  return scope !== "template" && scope !== "country";
}

function isOfToken(scope: BlockScope): boolean {
  return scope === "token" || scope === "app";
}

/** @returns null for a template that no campaign uses any more. */
function blockFor(sender: Sender, message: Refused, scope: BlockScope): Block | null {
  if (isOwn(scope)) return sender.block;
  const blocks = scope === "template" ? sender.templateBlocks : sender.countryBlocks;
  const subject = scope === "template" ? message.templateKey : sender.regionOf(message.phoneNumber);
  const known = blocks.get(subject);
  if (known !== undefined) return known;
  if (scope === "template" && campaignsWith(sender, subject).length === 0) return null;
  const block = createBlock(scope, subject);
  blocks.set(subject, block);
  return block;
}

function tellBlocked(
  sender: Sender,
  block: Block,
  before: BlockScope | null,
  why: { readonly errorCode: number; readonly reason: string },
  now: Now,
): void {
  const { scope, subject } = block;
  if (before !== null && before !== scope) sender.effects.push({ kind: "unblocked", scope: before, subject });
  const untilMs = wallTime(block.hold.untilMs, now);
  sender.effects.push({ kind: "blocked", scope, subject, errorCode: why.errorCode, reason: why.reason, untilMs });
}

function lift(sender: Sender, block: Block): void {
  const { scope, subject } = block;
  reopen(block);
  sender.effects.push({ kind: "unblocked", scope, subject });
  if (scope === "template") sender.templateBlocks.delete(subject);
  if (scope === "country") sender.countryBlocks.delete(subject);
  rouseWaiting(sender, block);
}

/** Campaigns sleep for their template's block only: the other blocks hold up the whole line, or none of it. */
function rouseWaiting(sender: Sender, block: Block): void {
  if (block.scope !== "template") return;
  for (const campaign of campaignsWith(sender, block.subject)) rouse(sender, campaign);
}

/** Costs all campaigns of the number: for what happens once in half a minute at most. */
function campaignsWith(sender: Sender, templateKey: string): readonly Campaign[] {
  return [...sender.campaigns.values()].filter(({ settings }) => settings.templateKey === templateKey);
}
