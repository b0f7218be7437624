// What becomes of one valid send: drawn once, when it arrives, so that the log can say at once how it will end.

import type { Chance } from "./chance.ts";
import { compileDelay, type DelayDraw } from "./delay.ts";
import type { GraphFault } from "./graph-error.ts";
import type { LostForm, RecipientRule, Reply } from "./recipient-rule.ts";
import type { LostShare, Scenario } from "./scenario.ts";

export interface Fate {
  /** What it is refused with, or null: taken. */
  readonly refusal: GraphFault | null;
  /** False only when the answer is lost and the message with it. */
  readonly isTaken: boolean;
  readonly form: "answered" | LostForm;
  readonly answerAfterMs: number;
  readonly isHeld: boolean;
  /** The last status that will be reported. */
  readonly end: "sent" | "delivered" | "read" | "failed";
  /** The code that a `failed` webhook carries; one may come beside `delivered`, from another device. */
  readonly failedCode: number | null;
  /** Its statuses come before its answer. */
  readonly isEarly: boolean;
  readonly isWithoutPhone: boolean;
  readonly hasChangingPrice: boolean;
  /** What the person answers once it is delivered. */
  readonly reply: Reply | null;
}

/** One status report of a message. */
export interface PlannedUpdate {
  readonly status: "sent" | "delivered" | "read" | "failed";
  /** After acceptance: what its timestamp says. May lie before it. */
  readonly happensAfterMs: number;
  /** After acceptance: when it is posted. */
  readonly postedAfterMs: number;
  readonly errorCode: number | null;
  /** The price is another one than `sent` said. */
  readonly hasOtherPrice: boolean;
}

/** What a failure needs to be told, wherever it comes from. */
interface FailureForm {
  readonly code: number;
  readonly where: "answer" | "webhook";
  readonly httpStatus?: number;
  readonly transient?: boolean;
  readonly details?: string;
}

/** Recipients with a rule of limited `times` that are counted at once; beyond it such rules no longer apply. */
const COUNTED_RECIPIENTS_MAX = 100_000;

/** The pacing error of messages that Meta held and then dropped. */
export const DROPPED_CODE = 132015;
/** "Message failed to be delivered on at least one of the user's device". */
const OTHER_DEVICE_CODE = 131036;
const SECOND_MS = 1000;

export class Fates {
  readonly #scenario: Scenario;
  readonly #chance: Chance;
  readonly #latency: DelayDraw;
  readonly #slowLatency: DelayDraw;
  readonly #releaseAfter: DelayDraw;
  readonly #sentAfter: DelayDraw;
  readonly #deliveredAfter: DelayDraw;
  readonly #readAfter: DelayDraw;
  readonly #reorderBy: DelayDraw;
  readonly #oldBy: DelayDraw;
  readonly #timesUsed = new Map<string, number>();

  constructor(scenario: Scenario, chance: Chance) {
    this.#scenario = scenario;
    this.#chance = chance;
    this.#latency = compileDelay(scenario.answers.latency);
    this.#slowLatency = compileDelay(scenario.answers.slow.latency);
    this.#releaseAfter = compileDelay(scenario.held.releaseAfter);
    this.#sentAfter = compileDelay(scenario.statuses.sentAfter);
    this.#deliveredAfter = compileDelay(scenario.statuses.deliveredAfter);
    this.#readAfter = compileDelay(scenario.statuses.readAfter);
    this.#reorderBy = compileDelay(scenario.statuses.reorderBy);
    this.#oldBy = compileDelay(scenario.statuses.oldBy);
  }

  /** @param waId digits of the recipient's number. */
  draw(waId: string): Fate {
    const rule = this.#ruleFor(waId);
    return rule === undefined ? this.#drawByChance() : this.#ruled(rule);
  }

  /** The time that any answer takes, refusals included. */
  answerAfterMs(): number {
    const { slow } = this.#scenario.answers;
    return this.happens(slow.share) ? this.#slowLatency(this.#chance) : this.#latency(this.#chance);
  }

  /** Reports of a message that was taken. */
  updates(fate: Fate): PlannedUpdate[] {
    const updates: PlannedUpdate[] = [];
    let atMs = (fate.isHeld ? this.#releaseAfter(this.#chance) : 0) + this.#sentAfter(this.#chance);
    if (fate.end === "failed") {
      this.#report(updates, fate, { status: "failed", atMs });
      return updates;
    }
    this.#report(updates, fate, { status: "sent", atMs });
    if (fate.end === "sent") return updates;
    atMs += this.#deliveredAfter(this.#chance);
    const isSkipped = fate.end === "read" && this.happens(this.#scenario.statuses.deliveredSkippedShare);
    if (!isSkipped) this.#report(updates, fate, { status: "delivered", atMs });
    if (fate.failedCode !== null) this.#report(updates, fate, { status: "failed", atMs });
    if (fate.end === "read") {
      this.#report(updates, fate, { status: "read", atMs: atMs + this.#readAfter(this.#chance) });
    }
    return updates;
  }

  #ruleFor(waId: string): RecipientRule | undefined {
    for (const [index, rule] of this.#scenario.recipients.entries()) {
      if (waId.endsWith(rule.suffix) && this.#mayUse(rule, `${index}:${waId}`)) return rule;
    }
    return undefined;
  }

  #mayUse(rule: RecipientRule, key: string): boolean {
    if (rule.times === undefined) return true;
    const used = this.#timesUsed.get(key) ?? 0;
    if (used >= rule.times || (used === 0 && this.#timesUsed.size >= COUNTED_RECIPIENTS_MAX)) return false;
    this.#timesUsed.set(key, used + 1);
    return true;
  }

  #ruled(rule: RecipientRule): Fate {
    const fate = this.#outcomeOf(rule, taken(this.answerAfterMs(), this.#endOfDelivered()));
    const { withoutPhone, pricingChanges, replies } = rule;
    if (withoutPhone === undefined && pricingChanges === undefined && replies === undefined) return fate;
    return {
      ...fate,
      isWithoutPhone: withoutPhone ?? false,
      hasChangingPrice: pricingChanges ?? false,
      reply: replies ?? null,
    };
  }

  #outcomeOf(rule: RecipientRule, ordinary: Fate): Fate {
    const { outcome } = rule;
    switch (outcome) {
      case "sent":
      case "delivered":
      case "read":
        return { ...ordinary, end: outcome };
      case "silentDrop":
        return { ...ordinary, end: "sent" };
      case "deliveredAndFailed":
        return { ...ordinary, failedCode: rule.code ?? OTHER_DEVICE_CODE };
      case "failed":
        return failing(ordinary, { ...rule, code: rule.code ?? DROPPED_CODE, where: rule.where ?? "webhook" });
      case "held":
        return { ...ordinary, isHeld: true };
      case "dropped":
        return { ...ordinary, isHeld: true, end: "failed", failedCode: DROPPED_CODE };
      case "slow":
        return { ...ordinary, answerAfterMs: this.#slowLatency(this.#chance) };
      case "early":
        return { ...ordinary, isEarly: true };
      case "cut":
      case "silent":
      case "garbled":
      case "empty":
      case "unreadable":
        return { ...ordinary, form: outcome, isTaken: rule.accepted ?? true };
    }
  }

  #drawByChance(): Fate {
    const ordinary: Fate = taken(this.answerAfterMs(), this.#drawEnd());
    const failure = this.#drawFailure();
    const fate = failure === undefined ? this.#maybeHeld(ordinary) : failing(ordinary, failure);
    return this.#maybeOdd(this.#maybeLost(fate));
  }

  #drawFailure(): FailureForm | undefined {
    const { failures } = this.#scenario;
    if (failures.length === 0) return undefined;
    let draw = this.#chance();
    return failures.find((failure) => (draw -= failure.share) < 0);
  }

  #drawEnd(): Fate["end"] {
    return this.happens(this.#scenario.statuses.undeliveredShare) ? "sent" : this.#endOfDelivered();
  }

  #endOfDelivered(): Fate["end"] {
    return this.happens(this.#scenario.statuses.readShare) ? "read" : "delivered";
  }

  #maybeHeld(fate: Fate): Fate {
    const { held } = this.#scenario;
    if (!this.happens(held.share)) return fate;
    if (this.happens(held.droppedShare)) return { ...fate, isHeld: true, end: "failed", failedCode: DROPPED_CODE };
    return { ...fate, isHeld: true };
  }

  #maybeLost(fate: Fate): Fate {
    const { cut, silent, garbled, empty, unreadable } = this.#scenario.answers;
    if (cut.share + silent.share + garbled.share + empty.share + unreadable.share === 0) return fate;
    let draw = this.#chance();
    const lost = (form: LostForm, share: LostShare): Fate => ({
      ...fate,
      form,
      isTaken: fate.isTaken && this.happens(share.acceptedShare),
    });
    if ((draw -= cut.share) < 0) return lost("cut", cut);
    if ((draw -= silent.share) < 0) return lost("silent", silent);
    if ((draw -= garbled.share) < 0) return lost("garbled", garbled);
    if ((draw -= empty.share) < 0) return lost("empty", empty);
    if ((draw -= unreadable.share) < 0) return lost("unreadable", unreadable);
    return fate;
  }

  /** What a message's statuses may have of the unusual. Draws nothing where its share is 0: old seeds keep their runs. */
  #maybeOdd(fate: Fate): Fate {
    const { withoutPhoneShare, pricingChangesShare, alsoFailedShare } = this.#scenario.statuses;
    if (withoutPhoneShare + pricingChangesShare + alsoFailedShare === 0) return fate;
    const isReached = fate.end === "delivered" || fate.end === "read";
    const alsoFails = isReached && this.happens(alsoFailedShare);
    return {
      ...fate,
      isWithoutPhone: this.happens(withoutPhoneShare),
      hasChangingPrice: this.happens(pricingChangesShare),
      failedCode: alsoFails ? OTHER_DEVICE_CODE : fate.failedCode,
    };
  }

  #report(
    updates: PlannedUpdate[],
    fate: Fate,
    { status, atMs }: { readonly status: PlannedUpdate["status"]; readonly atMs: number },
  ): void {
    const { duplicateShare, duplicateOtherSecondShare, reorderShare, oldShare } = this.#scenario.statuses;
    const postedAfterMs = atMs + (this.happens(reorderShare) ? this.#reorderBy(this.#chance) : 0);
    const happensAfterMs = this.happens(oldShare) ? atMs - this.#oldBy(this.#chance) : atMs;
    const errorCode = status === "failed" ? fate.failedCode : null;
    const hasOtherPrice = fate.hasChangingPrice && status !== "sent";
    updates.push({ status, happensAfterMs, postedAfterMs, errorCode, hasOtherPrice });
    if (!this.happens(duplicateShare)) return;
    const againAfterMs = postedAfterMs + this.#reorderBy(this.#chance);
    const laterMs = this.happens(duplicateOtherSecondShare) ? SECOND_MS : 0;
    updates.push({
      status,
      happensAfterMs: happensAfterMs + laterMs,
      postedAfterMs: againAfterMs,
      errorCode,
      hasOtherPrice,
    });
  }

  /** One draw, none for 0. */
  happens(share: number): boolean {
    return share > 0 && this.#chance() < share;
  }
}

function taken(answerAfterMs: number, end: Fate["end"]): Fate {
  return {
    refusal: null,
    isTaken: true,
    form: "answered",
    answerAfterMs,
    isHeld: false,
    end,
    failedCode: null,
    isEarly: false,
    isWithoutPhone: false,
    hasChangingPrice: false,
    reply: null,
  };
}

/** The fate of a message that this failure meets. */
export function failing(fate: Fate, failure: FailureForm): Fate {
  if (failure.where === "webhook") return { ...fate, end: "failed", failedCode: failure.code };
  const { code, httpStatus, transient, details } = failure;
  const refusal: GraphFault = {
    code,
    ...(httpStatus !== undefined && { httpStatus }),
    ...(transient !== undefined && { isTransient: transient }),
    ...(details !== undefined && { details }),
  };
  return { ...fate, refusal, isTaken: false };
}
