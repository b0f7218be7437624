// What becomes of one valid send: drawn once, when it arrives, so that the log can say at once how it will end.

import type { Chance } from "./chance.ts";
import { compileDelay, type DelayDraw } from "./delay.ts";
import type { Failure, LostShare, RecipientRule, Scenario } from "./scenario.ts";

type AnswerForm = "answered" | "cut" | "silent" | "garbled";

export interface Fate {
  /** The error code of a refusal, or null: taken. */
  readonly refusedCode: number | null;
  /** False only when the answer is lost and the message with it. */
  readonly isTaken: boolean;
  readonly form: AnswerForm;
  readonly answerAfterMs: number;
  readonly isHeld: boolean;
  /** The last status that will be reported. */
  readonly end: "sent" | "delivered" | "read" | "failed";
  /** Of `failed`: the code that its webhook carries. */
  readonly failedCode: number | null;
}

/** One status report of a message. */
export interface PlannedUpdate {
  readonly status: "sent" | "delivered" | "read" | "failed";
  /** After acceptance: what its timestamp says. */
  readonly happensAfterMs: number;
  /** After acceptance: when it is posted. */
  readonly postedAfterMs: number;
  readonly errorCode: number | null;
}

/** Recipients with a rule of limited `times` that are counted at once; beyond it such rules no longer apply. */
const COUNTED_RECIPIENTS_MAX = 100_000;

/** The pacing error of messages that Meta held and then dropped. */
const DROPPED_CODE = 132015;

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
  }

  /** @param waId digits of the recipient's number. */
  draw(waId: string): Fate {
    const rule = this.#ruleFor(waId);
    return rule === undefined ? this.#drawByChance() : this.#ruled(rule);
  }

  /** The time that any answer takes, refusals included. */
  answerAfterMs(): number {
    const { slow } = this.#scenario.answers;
    return this.#happens(slow.share) ? this.#slowLatency(this.#chance) : this.#latency(this.#chance);
  }

  /** Reports of a message that was taken. */
  updates(fate: Fate): PlannedUpdate[] {
    const { statuses } = this.#scenario;
    const updates: PlannedUpdate[] = [];
    let atMs = (fate.isHeld ? this.#releaseAfter(this.#chance) : 0) + this.#sentAfter(this.#chance);
    if (fate.end === "failed") {
      this.#report(updates, "failed", atMs, fate.failedCode);
      return updates;
    }
    this.#report(updates, "sent", atMs, null);
    if (fate.end === "sent") return updates;
    atMs += this.#deliveredAfter(this.#chance);
    const isSkipped = fate.end === "read" && this.#happens(statuses.deliveredSkippedShare);
    if (!isSkipped) this.#report(updates, "delivered", atMs, null);
    if (fate.end === "read") this.#report(updates, "read", atMs + this.#readAfter(this.#chance), null);
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
    const { outcome } = rule;
    const ordinary: Fate = taken(this.answerAfterMs(), this.#endOfDelivered());
    switch (outcome) {
      case "sent":
      case "delivered":
      case "read":
        return { ...ordinary, end: outcome };
      case "failed":
        return failing(ordinary, {
          code: rule.code ?? DROPPED_CODE,
          where: rule.where ?? "webhook",
        });
      case "held":
        return { ...ordinary, isHeld: true };
      case "dropped":
        return { ...ordinary, isHeld: true, end: "failed", failedCode: DROPPED_CODE };
      case "slow":
        return { ...ordinary, answerAfterMs: this.#slowLatency(this.#chance) };
      case "cut":
      case "silent":
      case "garbled":
        return { ...ordinary, form: outcome, isTaken: rule.accepted ?? true };
    }
  }

  #drawByChance(): Fate {
    const ordinary: Fate = taken(this.answerAfterMs(), this.#drawEnd());
    const failure = this.#drawFailure();
    return this.#maybeLost(failure === undefined ? this.#maybeHeld(ordinary) : failing(ordinary, failure));
  }

  #drawFailure(): Failure | undefined {
    const { failures } = this.#scenario;
    if (failures.length === 0) return undefined;
    let draw = this.#chance();
    return failures.find((failure) => (draw -= failure.share) < 0);
  }

  #drawEnd(): Fate["end"] {
    return this.#happens(this.#scenario.statuses.undeliveredShare) ? "sent" : this.#endOfDelivered();
  }

  #endOfDelivered(): Fate["end"] {
    return this.#happens(this.#scenario.statuses.readShare) ? "read" : "delivered";
  }

  #maybeHeld(fate: Fate): Fate {
    const { held } = this.#scenario;
    if (!this.#happens(held.share)) return fate;
    if (this.#happens(held.droppedShare)) return { ...fate, isHeld: true, end: "failed", failedCode: DROPPED_CODE };
    return { ...fate, isHeld: true };
  }

  #maybeLost(fate: Fate): Fate {
    const { cut, silent, garbled } = this.#scenario.answers;
    if (cut.share + silent.share + garbled.share === 0) return fate;
    let draw = this.#chance();
    const lost = (form: AnswerForm, share: LostShare): Fate => ({
      ...fate,
      form,
      isTaken: fate.isTaken && this.#happens(share.acceptedShare),
    });
    if ((draw -= cut.share) < 0) return lost("cut", cut);
    if ((draw -= silent.share) < 0) return lost("silent", silent);
    if ((draw -= garbled.share) < 0) return lost("garbled", garbled);
    return fate;
  }

  #report(updates: PlannedUpdate[], status: PlannedUpdate["status"], atMs: number, errorCode: number | null): void {
    const { duplicateShare, reorderShare } = this.#scenario.statuses;
    const postedAfterMs = atMs + (this.#happens(reorderShare) ? this.#reorderBy(this.#chance) : 0);
    updates.push({ status, happensAfterMs: atMs, postedAfterMs, errorCode });
    if (this.#happens(duplicateShare)) {
      const again = postedAfterMs + this.#reorderBy(this.#chance);
      updates.push({ status, happensAfterMs: atMs, postedAfterMs: again, errorCode });
    }
  }

  #happens(share: number): boolean {
    return share > 0 && this.#chance() < share;
  }
}

function taken(answerAfterMs: number, end: Fate["end"]): Fate {
  return { refusedCode: null, isTaken: true, form: "answered", answerAfterMs, isHeld: false, end, failedCode: null };
}

function failing(fate: Fate, failure: Pick<Failure, "code" | "where">): Fate {
  if (failure.where === "answer") return { ...fate, refusedCode: failure.code, isTaken: false };
  return { ...fate, end: "failed", failedCode: failure.code };
}
