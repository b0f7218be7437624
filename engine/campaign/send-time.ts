// When a message is to be sent: at a time that its payload names, some time before or after it, or some time after
// its acceptance.

import { SEND_AHEAD_MS_MAX } from "../message/campaign.ts";
import type { CampaignFault, SendAtDefinition } from "../message/campaign.ts";
import { durationMs } from "../runtime/duration-text.ts";
import { isTimeZone } from "../runtime/time-zone.ts";
import { parsePaths } from "./attribute-path.ts";
import type { AttributePath } from "./attribute-path.ts";
import { firstValue, pointerOfFirst } from "./attribute-reader.ts";
import type { PayloadFault } from "./mapping.ts";
import { momentOf } from "./time-text.ts";
import { zonedTime } from "./zoned-time.ts";
import type { ToMoment } from "./zoned-time.ts";

export type SendTime =
  | { readonly kind: "now" }
  /** Epoch milliseconds, later than now and within {@link SEND_AHEAD_MS_MAX}. */
  | { readonly kind: "at"; readonly atMs: number }
  | { readonly kind: "invalid"; readonly fault: PayloadFault };

export type ReadSendTime = (payload: unknown, nowMs: number) => SendTime;

/** What faults call it. */
const ATTRIBUTE = "sendAt";
const NOW: SendTime = { kind: "now" };
const UTC: ToMoment = (wallMs) => wallMs;

/** @param faults gets what keeps the definition from working. */
export function compileSendTime(definition: SendAtDefinition | undefined, faults: CampaignFault[]): ReadSendTime {
  if (definition === undefined) return () => NOW;
  const { path, offset = 0, timeZone, required = false } = definition;
  const paths = parsePaths("sendAt.path", path, faults);
  const offsetMs = durationMs(offset);
  if (offsetMs === undefined) faults.push({ path: "sendAt.offset", message: `"${offset}" is no length of time` });
  const isKnownZone = timeZone === undefined || isTimeZone(timeZone);
  if (!isKnownZone) faults.push({ path: "sendAt.timeZone", message: `"${timeZone}" is no time zone` });
  if (offsetMs === undefined || !isKnownZone) return () => NOW;
  if (path === undefined) return (_, nowMs) => sendTime(nowMs + offsetMs, nowMs, "");
  const toMoment = timeZone === undefined ? UTC : zonedTime(timeZone);
  return (payload, nowMs) => {
    const raw = firstValue(payload, paths);
    if (raw === undefined) return required ? missing(paths) : NOW;
    const pointer = pointerOfFirst(payload, paths);
    if (typeof raw !== "string" && typeof raw !== "number") return unreadable(pointer, "wrong_type");
    const atMs = momentOf(raw, toMoment);
    return atMs === undefined ? unreadable(pointer, "invalid_format") : sendTime(atMs + offsetMs, nowMs, pointer);
  };
}

/** A time that is past is no reason to keep silent: shops' clocks differ, and deliveries come late. */
function sendTime(atMs: number, nowMs: number, pointer: string): SendTime {
  if (atMs <= nowMs) return NOW;
  if (atMs <= nowMs + SEND_AHEAD_MS_MAX) return { kind: "at", atMs };
  const days = SEND_AHEAD_MS_MAX / 86_400_000;
  return invalid(pointer, "invalid_format", `${ATTRIBUTE} lies more than ${days} days ahead`);
}

function missing(paths: readonly AttributePath[]): SendTime {
  const looked = paths.map(({ text }) => text).join(", ");
  const message = `${ATTRIBUTE} is required, but there is nothing at ${looked}`;
  return invalid(paths[0]?.pointer ?? "", "required", message);
}

function unreadable(pointer: string, code: PayloadFault["code"]): SendTime {
  return invalid(pointer, code, `${ATTRIBUTE} must be a time such as 2026-11-23T10:00:00Z, or seconds since 1970`);
}

function invalid(pointer: string, code: PayloadFault["code"], message: string): SendTime {
  return { kind: "invalid", fault: { pointer, attribute: ATTRIBUTE, code, message } };
}
