// Messages that Meta took and holds back for quality assessment: some until their own time comes, some until their
// template's pacing ends. A template that is paused takes them with it (132015).

import type { Instant } from "./fine-clock.ts";
import { DROPPED_CODE } from "./fate.ts";
import type { SendEnd } from "./received-send.ts";
import type { StatusReport, TakenMessage } from "./status-notification.ts";

export interface HeldMessage {
  readonly template: { readonly name: string; readonly language: string };
  /** Of its log line. */
  readonly sequence: number;
  readonly message: TakenMessage;
  /** As planned when it came. */
  readonly reports: readonly StatusReport[];
  readonly arrivedAt: Instant;
  /** It waits for its template: its reports have not been handed out. */
  readonly isWaiting: boolean;
}

/** How a held message ends after all. */
export interface Settlement {
  readonly sequence: number;
  readonly reports: readonly StatusReport[];
  readonly end: SendEnd;
}

const SWEEP_AT_FIRST = 1000;

export class HeldMessages {
  #held: HeldMessage[] = [];
  #sweepAt = SWEEP_AT_FIRST;
  #dropped = 0;
  #released = 0;

  get stats(): { readonly waiting: number; readonly released: number; readonly dropped: number } {
    return {
      waiting: this.#held.filter((held) => held.isWaiting).length,
      released: this.#released,
      dropped: this.#dropped,
    };
  }

  add(held: HeldMessage): void {
    this.#held.push(held);
    if (this.#held.length < this.#sweepAt) return;
    this.#held = this.#held.filter((one) => isBack(one, held.arrivedAt));
    this.#sweepAt = Math.max(SWEEP_AT_FIRST, this.#held.length * 2);
  }

  /** The template's pacing ended well. */
  release(template: HeldMessage["template"], now: Instant): Settlement[] {
    const released = this.#take((held) => held.isWaiting && isOf(held, template));
    this.#released += released.length;
    return released.map(({ sequence, reports, arrivedAt }) => ({
      sequence,
      end: endOf(reports),
      reports: reports.map((report) => ({
        ...report,
        atMs: report.atMs + now.wallMs - arrivedAt.wallMs,
        dueMonotonicMs: report.dueMonotonicMs + now.monotonicMs - arrivedAt.monotonicMs,
      })),
    }));
  }

  /** The template was paused: whatever is still held of it fails. */
  drop(template: HeldMessage["template"], now: Instant): Settlement[] {
    const dropped = this.#take((held) => isOf(held, template)).filter((held) => isBack(held, now));
    this.#dropped += dropped.length;
    return dropped.map(({ sequence, message }) => {
      message.isDropped = true;
      const report: StatusReport = {
        // A copy: the reports of the original are void.
        message: { ...message, isDropped: false },
        status: "failed",
        atMs: now.wallMs,
        errorCode: DROPPED_CODE,
        hasOtherPrice: false,
        dueMonotonicMs: now.monotonicMs,
      };
      return { sequence, reports: [report], end: { status: "failed", errorCode: DROPPED_CODE } };
    });
  }

  #take(isTaken: (held: HeldMessage) => boolean): HeldMessage[] {
    const taken = this.#held.filter(isTaken);
    this.#held = this.#held.filter((held) => !isTaken(held));
    return taken;
  }
}

function isOf({ template }: HeldMessage, wanted: HeldMessage["template"]): boolean {
  return template.name === wanted.name && template.language === wanted.language;
}

/** Whether it is still held: nothing of it was due yet. */
function isBack(held: HeldMessage, now: Instant): boolean {
  return held.isWaiting || (held.reports[0]?.dueMonotonicMs ?? 0) > now.monotonicMs;
}

/** What reports come to: a delivered message stays delivered, whatever another device says. */
function endOf(reports: readonly StatusReport[]): SendEnd {
  const has = (status: StatusReport["status"]): boolean => reports.some((report) => report.status === status);
  if (has("read")) return { status: "read", errorCode: null };
  if (has("delivered")) return { status: "delivered", errorCode: null };
  const failed = reports.find((report) => report.status === "failed");
  return failed === undefined ? { status: "sent", errorCode: null } : { status: "failed", errorCode: failed.errorCode };
}
