// One sender as operators see it: what the file says, what Meta grants, how it stands.

import type { SenderBlock } from "./actor/partition-deps.ts";
import type { SenderBlockView, SenderView } from "./api/operators-api-deps.ts";
import type { Management } from "./management.ts";
import type { BlockScope } from "./message/verdict.ts";
import type { SenderConfig } from "./runtime/config.ts";

/** What stops more comes first. */
const SCOPES: readonly BlockScope[] = ["app", "token", "account", "number", "template", "country"];

export function senderView({ management }: { readonly management: Management }, sender: SenderConfig): SenderView {
  const { id, phoneNumberId, wabaId, portfolio, messagesPerSecond, pairLimit, dailyRecipients, configured } = sender;
  const report = management.board.reportOf(id);
  const standing = management.numbers.standingOf(id);
  const templates = management.templates.get(wabaId);
  const blocks = (report?.blocks ?? []).toSorted((left, right) => rankOf(left) - rankOf(right)).map(blockView);
  return {
    id,
    phoneNumberId,
    wabaId,
    portfolio,
    messagesPerSecond,
    rate: {
      configured: configured.messagesPerSecond,
      granted: standing?.messagesPerSecond ?? null,
      now: report?.messagesPerSecond ?? messagesPerSecond,
    },
    pairLimit,
    dailyRecipients,
    recipients: recipientsView(management, sender),
    standing: standing === null ? null : standingView(standing),
    blocks,
    blocked: blocks[0] ?? null,
    templates: templates === undefined ? null : templates.filter(({ status }) => status === "APPROVED").length,
  };
}

function recipientsView({ portfolios }: Management, sender: SenderConfig): SenderView["recipients"] {
  const { used, limit, allowance, freesAtMs, runsOutAtMs } = portfolios.viewOf(sender);
  return { used, limit, allowance, freesAt: isoTime(freesAtMs), runsOutAt: isoTime(runsOutAtMs) };
}

function standingView({ level, quality, status, nameStatus, platform }: NonNullable<SenderView["standing"]>) {
  return { level, quality, status, nameStatus, platform };
}

function blockView({ scope, subject, errorCode, reason, sinceMs, untilMs }: SenderBlock): SenderBlockView {
  const since = new Date(sinceMs).toISOString();
  return { scope, subject, errorCode, reason, since, until: new Date(untilMs).toISOString() };
}

function rankOf({ scope }: SenderBlock): number {
  return SCOPES.indexOf(scope);
}

function isoTime(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString();
}
