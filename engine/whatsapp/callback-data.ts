// `biz_opaque_callback_data` carries the message id out and back: it is how a status finds its message when the
// answer to the send was lost. Later attempts add their number, so a status tells which attempt arrived.

import { MESSAGE_ID_LENGTH, decodeMessageId, isMessageId } from "../message/ids.ts";
import type { MessageAddress, MessageId } from "../message/ids.ts";
import { PARTITIONS } from "../message/partition.ts";

export interface CallbackData {
  readonly messageId: MessageId;
  readonly address: MessageAddress;
  /** 1 for the first. */
  readonly attempt: number;
}

/** Far more attempts than any policy makes. */
const ATTEMPT_SUFFIX = /^\.([1-9]\d{0,5})$/;

/** @returns null when it is not ours: another program may send from the same number. */
export function readCallbackData(text: string): CallbackData | null {
  const messageId = text.slice(0, MESSAGE_ID_LENGTH);
  if (!isMessageId(messageId)) return null;
  const attempt = attemptOf(text.slice(MESSAGE_ID_LENGTH));
  const address = decodeMessageId(messageId);
  // An id of a partition that does not exist here would have no thread to go to.
  if (attempt === null || address === null || address.partition >= PARTITIONS) return null;
  return { messageId, address, attempt };
}

function attemptOf(suffix: string): number | null {
  if (suffix === "") return 1;
  const match = ATTEMPT_SUFFIX.exec(suffix);
  return match ? Number(match[1]) : null;
}
