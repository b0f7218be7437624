// A business number and its account, as Meta's side keeps them.

import type { Mood } from "./change.ts";
import { RecipientCount } from "./recipient-count.ts";
import { SlidingWindow } from "./sliding-window.ts";
import type { SimulatedNumber } from "./status-notification.ts";

export interface SimulatedSender {
  readonly phoneNumberId: string;
  readonly wabaId: string;
  /** 20, 80 or 1000 with Meta; any number here. */
  readonly messagesPerSecond: number;
  /** Digits; default made from the id. */
  readonly displayPhoneNumber?: string;
}

export interface AccountState {
  readonly wabaId: string;
  marketingOnMessages: boolean;
  marketingMessages: "on" | "off";
  fails: Mood | null;
}

export interface NumberState extends SimulatedNumber {
  readonly account: AccountState;
  readonly arrivals: SlidingWindow;
  readonly withinLimit: SlidingWindow;
  readonly recipients: RecipientCount;
  messagesPerSecond: number;
  /** What it takes in truth; null: as granted. */
  trueMessagesPerSecond: number | null;
  throttles: "answer" | "webhook";
  quality: string;
  status: string;
  fails: Mood | null;
  received: number;
  throttled: number;
}

export interface NumberStats {
  readonly received: number;
  readonly throttled: number;
  /** The most sends that arrived in any second, throttled ones included. */
  readonly arrivalsPerSecondPeak: number;
  /** The most sends that were within the limit in any second, and what people wrote in it. */
  readonly withinLimitPerSecondPeak: number;
  /** Different people in the last 24 hours, to whom messages were accepted; and the most in any. */
  readonly recipientsLastDay: number;
  readonly recipientsPeak: number;
}

const WINDOW_MS = 1000;

export function numberState(sender: SimulatedSender, account: AccountState): NumberState {
  const lastDigits = sender.phoneNumberId.replaceAll(/\D/g, "").slice(-7).padStart(7, "0");
  return {
    phoneNumberId: sender.phoneNumberId,
    wabaId: sender.wabaId,
    displayPhoneNumber: sender.displayPhoneNumber ?? `1555${lastDigits}`,
    account,
    arrivals: new SlidingWindow(WINDOW_MS),
    withinLimit: new SlidingWindow(WINDOW_MS),
    recipients: new RecipientCount(),
    messagesPerSecond: sender.messagesPerSecond,
    trueMessagesPerSecond: null,
    throttles: "answer",
    quality: "GREEN",
    status: "CONNECTED",
    fails: null,
    received: 0,
    throttled: 0,
  };
}

export function numberStats(number: NumberState, nowMs: number): NumberStats {
  return {
    received: number.received,
    throttled: number.throttled,
    arrivalsPerSecondPeak: number.arrivals.peak,
    withinLimitPerSecondPeak: number.withinLimit.peak,
    recipientsLastDay: number.recipients.lastDay(nowMs),
    recipientsPeak: number.recipients.peak,
  };
}
