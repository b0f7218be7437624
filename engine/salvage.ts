// Rows of a history that the cluster did not keep. After a power cut of everything, another node may have taken a
// partition over with an older table than this node's. What only this node knew goes to the present owner as events and
// statuses of the stream: an event that the owner has is skipped; one that it does not have becomes a message, and
// `uncertain` if it may have been sent already; a status counts as if WhatsApp had told it again.

import { randomBytes } from "node:crypto";

import { encodeEnvelope, ENVELOPE_ITEMS_MAX, type Envelope } from "./message/envelope.ts";
import type { AcceptedEvent } from "./message/event.ts";
import type { MessageRecord } from "./message/message-record.ts";
import type { DeliveryStatus, StatusUpdate } from "./message/status-update.ts";
import type { NatsLink } from "./runtime/jetstream-connection.ts";
import { eventsStream, eventsSubject } from "./runtime/jetstream-names.ts";
import { publish } from "./runtime/jetstream-publish.ts";
import { encodeFrame } from "./stream/envelope-frame.ts";

const ID_BYTES = 12;
const TOLD_BY_WHATSAPP: ReadonlySet<string> = new Set<DeliveryStatus>(["sent", "delivered", "read", "failed"]);

/** Resolves once all of it is in the partition's stream. */
export async function salvage(
  link: NatsLink,
  partition: number,
  records: readonly MessageRecord[],
  options: { readonly signal: AbortSignal; recreate(): Promise<void> },
): Promise<void> {
  for (let start = 0; start < records.length; start += ENVELOPE_ITEMS_MAX) {
    const page = records.slice(start, start + ENVELOPE_ITEMS_MAX);
    const updates = page.flatMap(updateOf);
    const envelopes: Envelope[] = [{ kind: "events", events: page.map(eventOf) }];
    if (updates.length > 0) envelopes.push({ kind: "statuses", updates });
    for (const envelope of envelopes) {
      const publication = {
        subject: eventsSubject(link.prefix, partition),
        stream: eventsStream(link.prefix, partition),
        bytes: encodeFrame({ claims: [], bytes: encodeEnvelope(envelope) }),
        id: randomBytes(ID_BYTES).toString("hex"),
      };
      // oxlint-disable-next-line no-await-in-loop -- a status comes after its event
      await publish(link, publication, options);
    }
  }
}

function eventOf(record: MessageRecord): AcceptedEvent {
  const { messageId, phoneNumber, attributes, attempts, sendAtMs, waitKey } = record;
  return { messageId, phoneNumber, attributes, attempts, sendAtMs, waitKey };
}

function updateOf(record: MessageRecord): StatusUpdate[] {
  const { messageId, attempts, status, wamid, errorCode, errorReason, pricingCategory } = record;
  if (!TOLD_BY_WHATSAPP.has(status)) return [];
  const atMs = Math.max(record.sentAtMs, record.deliveredAtMs, record.readAtMs, record.failedAtMs);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked above
  const told = status as DeliveryStatus;
  return [{ messageId, attempt: attempts, status: told, wamid, atMs, errorCode, errorReason, pricingCategory }];
}
