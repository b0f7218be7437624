// The scenarios that others begin from.

import type { LostShare, PresetName, Scenario } from "./scenario.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NEVER_LOST: LostShare = { share: 0, acceptedShare: 1 };

const PERFECT: Scenario = {
  limits: {
    number: "enforced",
    pair: { periodSeconds: 6, burst: 45 },
    dailyRecipients: "unlimited",
    beyondDailyRecipients: { code: 131_048, where: "webhook" },
    // Of an account with a registered number (Meta, about the platform: rate limits).
    managementCallsPerHour: 5000,
  },
  answers: {
    latency: 0,
    slow: { share: 0, latency: { minMs: 2000, maxMs: 8000 } },
    cut: NEVER_LOST,
    silent: NEVER_LOST,
    garbled: NEVER_LOST,
    empty: NEVER_LOST,
    unreadable: NEVER_LOST,
  },
  held: { share: 0, releaseAfter: { minMs: 500, maxMs: 3000 }, droppedShare: 0 },
  failures: [],
  recipients: [],
  events: [],
  statuses: {
    sentAfter: 0,
    deliveredAfter: 0,
    readAfter: 0,
    undeliveredShare: 0,
    readShare: 0,
    deliveredSkippedShare: 0,
    alsoFailedShare: 0,
    duplicateShare: 0,
    duplicateOtherSecondShare: 0,
    reorderShare: 0,
    reorderBy: { minMs: 50, maxMs: 500 },
    oldShare: 0,
    oldBy: { minMs: DAY_MS, maxMs: 7 * DAY_MS },
    withoutPhoneShare: 0,
    pricingChangesShare: 0,
  },
  webhooks: {
    updatesPerPostMax: 1000,
    updatesPerChangeMax: 50,
    parallelPostsMax: 4,
    retryAfterMs: 200,
    retryAfterMsMax: 5000,
    giveUpAfterMs: 36 * HOUR_MS,
    language: "hyphen",
    qualityField: "message_template_quality_update",
    dailyLimit: "number",
  },
};

// Shares as operators report them: some percent of numbers are not on WhatsApp, few messages run into anything else.
const REALISTIC: Scenario = {
  ...PERFECT,
  answers: { ...PERFECT.answers, latency: { medianMs: 60, p99Ms: 250 } },
  failures: [
    { code: 131026, share: 0.02, where: "webhook" },
    { code: 131049, share: 0.005, where: "webhook" },
    { code: 131000, share: 0.002, where: "answer" },
  ],
  statuses: {
    ...PERFECT.statuses,
    sentAfter: { medianMs: 100, p99Ms: 500 },
    deliveredAfter: { medianMs: 300, p99Ms: 2000 },
    readAfter: { medianMs: 800, p99Ms: 4000 },
    readShare: 0.7,
    duplicateShare: 0.01,
    reorderShare: 0.02,
  },
};

const ROUGH: Scenario = {
  ...REALISTIC,
  answers: {
    ...REALISTIC.answers,
    latency: { medianMs: 60, p99Ms: 800 },
    slow: { share: 0.01, latency: { minMs: 1000, maxMs: 4000 } },
    cut: { share: 0.01, acceptedShare: 0.7 },
    silent: { share: 0.002, acceptedShare: 0.7 },
    garbled: { share: 0.005, acceptedShare: 0.5 },
  },
  held: { share: 0.02, releaseAfter: { minMs: 500, maxMs: 3000 }, droppedShare: 0.1 },
  failures: [
    { code: 131026, share: 0.03, where: "webhook" },
    { code: 131049, share: 0.01, where: "webhook" },
    { code: 130472, share: 0.005, where: "webhook" },
    { code: 131000, share: 0.01, where: "answer" },
    { code: 131016, share: 0.01, where: "answer" },
    { code: 2, share: 0.005, where: "answer" },
  ],
  statuses: {
    ...REALISTIC.statuses,
    undeliveredShare: 0.01,
    deliveredSkippedShare: 0.05,
    duplicateShare: 0.1,
    reorderShare: 0.1,
    reorderBy: { minMs: 50, maxMs: 1500 },
  },
};

export const PRESETS: Readonly<Record<PresetName, Scenario>> = {
  perfect: PERFECT,
  realistic: REALISTIC,
  rough: ROUGH,
};
