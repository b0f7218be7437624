// Meta's names for what a number and a portfolio may send.

/** From here on Meta calls a number's throughput HIGH. */
const HIGH_THROUGHPUT = 1000;
const TIERS: readonly (readonly [number, string])[] = [
  [250, "TIER_250"],
  [2000, "TIER_2K"],
  [10_000, "TIER_10K"],
  [100_000, "TIER_100K"],
];

export function isHighThroughput(messagesPerSecond: number): boolean {
  return messagesPerSecond >= HIGH_THROUGHPUT;
}

/** The smallest tier that allows so many; Meta knows no others. */
export function tierOf(dailyRecipients: number | "unlimited"): string {
  if (dailyRecipients === "unlimited") return "TIER_UNLIMITED";
  return TIERS.find(([recipients]) => dailyRecipients <= recipients)?.[1] ?? "TIER_UNLIMITED";
}
