// What operators see of a sender: its blocks, its rate, its budget. Told when it changes, a few times a second at most.

import type { PartitionDeps, SenderBlock, SenderReport } from "./partition-deps.ts";
import type { SenderEffect } from "./sender-messages.ts";

const REPORT_REST_MS = 250;
/** A budget that nobody touches still frees recipients. */
const BUDGET_REST_MS = 5_000;

interface Standing {
  readonly blocks: Map<string, SenderBlock>;
  /** Null: what it is set to. */
  messagesPerSecond: number | null;
  /** As last told. */
  told: string;
}

export type SenderReportsDeps = Pick<PartitionDeps, "clock" | "senderSettings" | "budgetOf" | "reportSender">;

export class SenderReports {
  readonly #deps: SenderReportsDeps;
  readonly #standings = new Map<string, Standing>();
  readonly #changed = new Set<string>();
  #nextMonotonicMs = 0;
  #nextBudgetsMonotonicMs = 0;

  constructor(deps: SenderReportsDeps) {
    this.#deps = deps;
  }

  /** When {@link flush} has something to tell; infinite when nothing has changed. */
  get wakeMonotonicMs(): number {
    return this.#changed.size === 0 ? Number.POSITIVE_INFINITY : this.#nextMonotonicMs;
  }

  blocked(senderId: string, effect: Extract<SenderEffect, { kind: "blocked" }>): void {
    const { scope, subject, errorCode, reason, untilMs } = effect;
    const { blocks } = this.#standingOf(senderId);
    const key = keyOf(effect);
    const sinceMs = blocks.get(key)?.sinceMs ?? this.#deps.clock.nowMs();
    blocks.set(key, { scope, subject, errorCode, reason, sinceMs, untilMs });
    this.#changed.add(senderId);
  }

  unblocked(senderId: string, effect: Extract<SenderEffect, { kind: "unblocked" }>): void {
    this.#standingOf(senderId).blocks.delete(keyOf(effect));
    this.#changed.add(senderId);
  }

  rated(senderId: string, messagesPerSecond: number): void {
    this.#standingOf(senderId).messagesPerSecond = messagesPerSecond;
    this.#changed.add(senderId);
  }

  /** The sender is new, or its settings are. */
  touched(senderId: string): void {
    this.#standingOf(senderId);
    this.#changed.add(senderId);
  }

  /** Tells what has changed since it was last told, if that is long enough ago. */
  flush(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs < this.#nextMonotonicMs) return;
    if (nowMs >= this.#nextBudgetsMonotonicMs) this.#touchBudgets(nowMs);
    if (this.#changed.size === 0) return;
    this.#nextMonotonicMs = nowMs + REPORT_REST_MS;
    for (const senderId of this.#changed) this.#tell(senderId);
    this.#changed.clear();
  }

  #touchBudgets(nowMs: number): void {
    this.#nextBudgetsMonotonicMs = nowMs + BUDGET_REST_MS;
    for (const senderId of this.#standings.keys()) {
      if (this.#deps.budgetOf(senderId) !== null) this.#changed.add(senderId);
    }
  }

  #tell(senderId: string): void {
    const settings = this.#deps.senderSettings(senderId);
    if (settings === undefined) return;
    const standing = this.#standingOf(senderId);
    const report: SenderReport = {
      blocks: [...standing.blocks.values()],
      messagesPerSecond: Math.min(standing.messagesPerSecond ?? Infinity, settings.messagesPerSecond),
      recipients: this.#deps.budgetOf(senderId)?.report(this.#deps.clock.nowMs()) ?? null,
    };
    const text = JSON.stringify(report);
    if (text === standing.told) return;
    standing.told = text;
    this.#deps.reportSender(senderId, report);
  }

  #standingOf(senderId: string): Standing {
    const known = this.#standings.get(senderId);
    if (known !== undefined) return known;
    const standing: Standing = { blocks: new Map(), messagesPerSecond: null, told: "" };
    this.#standings.set(senderId, standing);
    return standing;
  }
}

function keyOf({ scope, subject }: { readonly scope: string; readonly subject: string }): string {
  return `${scope} ${subject}`;
}
