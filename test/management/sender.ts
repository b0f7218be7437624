// A sender as the configuration gives it, for tests that need one.

import type { SenderConfig } from "../../engine/runtime/config.ts";

export function senderOf(id: string, more: Partial<SenderConfig> = {}): SenderConfig {
  return {
    id,
    phoneNumberId: `10${id.length}`,
    wabaId: "2",
    accessToken: "t",
    portfolio: "shop",
    messagesPerSecond: 80,
    pairLimit: { periodSeconds: 6, burst: 45 },
    dailyRecipients: "unlimited",
    configured: { messagesPerSecond: "auto", dailyRecipients: "auto" },
    ...more,
  };
}
