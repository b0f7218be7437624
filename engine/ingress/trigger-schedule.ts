// When an event's message goes and what the event cancels, read beside its contact: the faults of both are told at once.

import type { Clock } from "../runtime/clock.ts";
import type { Extraction, PayloadFault, Schedule, TriggerCampaign } from "./trigger-campaign.ts";

const IMMEDIATE: Schedule = { kind: "valid", sendAtMs: null, waitKey: null, cancels: [] };

/** Costs nothing where the campaign has no timing. */
export function scheduleOf({ timing }: TriggerCampaign, payload: unknown, clock: Clock): Schedule {
  return timing === null ? IMMEDIATE : timing.schedule(payload, clock.nowMs());
}

/** Of an event that at least one of the two refuses. */
export function faultsOf(extraction: Extraction, schedule: Schedule): readonly PayloadFault[] {
  return [extraction, schedule].flatMap((part) => (part.kind === "invalid" ? part.faults : []));
}
