// Meta's limit of management calls: so many an hour for each account, told in a header of every answer.

import { SlidingWindow } from "./sliding-window.ts";

export interface ManagementUse {
  readonly isAllowed: boolean;
  /** The value of `X-Business-Use-Case-Usage`. */
  readonly usage: string;
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

export class ManagementLimit {
  readonly #windows = new Map<string, SlidingWindow>();
  #calls = 0;
  #refused = 0;

  get stats(): { readonly calls: number; readonly refused: number } {
    return { calls: this.#calls, refused: this.#refused };
  }

  /** Takes one call of the account's hour. @param nowMs on a clock that never jumps. */
  take(wabaId: string, perHour: number | "unlimited", nowMs: number): ManagementUse {
    this.#calls++;
    const window = this.#windowOf(wabaId);
    const used = window.count(nowMs);
    const isAllowed = perHour === "unlimited" || used < perHour;
    if (isAllowed) window.add(nowMs);
    else this.#refused++;
    const percent = perHour === "unlimited" ? 0 : Math.min(100, Math.floor((100 * (used + 1)) / perHour));
    const waitMs = isAllowed ? 0 : window.oldestMs + HOUR_MS - nowMs;
    const use = {
      type: "whatsapp_business_management",
      call_count: percent,
      total_cputime: 0,
      total_time: 0,
      estimated_time_to_regain_access: Math.ceil(waitMs / MINUTE_MS),
    };
    return { isAllowed, usage: JSON.stringify({ [wabaId]: [use] }) };
  }

  #windowOf(wabaId: string): SlidingWindow {
    const known = this.#windows.get(wabaId);
    if (known !== undefined) return known;
    const window = new SlidingWindow(HOUR_MS);
    this.#windows.set(wabaId, window);
    return window;
  }
}
