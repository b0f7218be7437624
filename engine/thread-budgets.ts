// The budgets of recipients in one actor thread: one for each of its senders that may not write to everybody.

import type { SenderAllowance } from "./actor/protocol.ts";
import { RecipientBudget } from "./actor/recipient-budget.ts";
import type { SenderConfig } from "./runtime/config.ts";

export class ThreadBudgets {
  readonly #budgets = new Map<string, RecipientBudget>();

  /** @param senders what each may reach as it was when the thread started. */
  constructor(senders: readonly SenderConfig[]) {
    this.set(
      senders.map(({ id, dailyRecipients }) => {
        return { senderId: id, allowance: dailyRecipients === "unlimited" ? null : dailyRecipients };
      }),
    );
  }

  set(allowances: readonly SenderAllowance[]): void {
    for (const { senderId, allowance } of allowances) {
      const known = this.#budgets.get(senderId);
      // Unlimited now, limited again later: then whom it wrote to meanwhile is read anew.
      if (allowance === null) this.#budgets.delete(senderId);
      else if (known === undefined) this.#budgets.set(senderId, new RecipientBudget({ allowance }));
      else known.setAllowance(allowance);
    }
  }

  readonly of = (senderId: string): RecipientBudget | null => this.#budgets.get(senderId) ?? null;
}
