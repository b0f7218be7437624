// A message id is the address of the message's row in the ledger.
//
// Its 26 characters sort like the rows: partition, campaign, time, sequence. So no index from id
// to row exists, rows of one campaign lie side by side in order of acceptance, and every insert
// lands at the growing end of its campaign (docs/decisions/0002-message-id-is-the-address.md).
//
//   ppcccccc tttttttttt nnssssss      Crockford base32, lower case
//   │ │      │          └─ node (8 bits) and sequence (32 bits)
//   │ │      └─ acceptance, milliseconds since 1970 (48 bits)
//   └─┴─ partition (8 bits) and campaign number (32 bits)

declare const brand: unique symbol;

/** 26 characters of lower-case Crockford base32; order of ids = order of ledger rows. */
export type MessageId = string & { readonly [brand]: "MessageId" };

export interface MessageAddress {
  /** 0..255: which part of the stream and of the ledger holds the message. */
  readonly partition: number;
  /** 1..2^32-1: the number the campaign got when it was first stored. */
  readonly campaignNumber: number;
  /** Epoch milliseconds at which the event was accepted. */
  readonly acceptedAtMs: number;
  /** 0..255: the engine that accepted it. */
  readonly node: number;
  /** 0..2^32-1: counts the events that one engine accepted. */
  readonly sequence: number;
}

export const MESSAGE_ID_LENGTH = 26;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const PATTERN = /^[0-9a-hjkmnp-tv-z]{26}$/;
const GROUP_LENGTHS = { campaign: 8, time: 10, origin: 8 } as const;
const UINT32 = 2 ** 32;

export function encodeMessageId(address: MessageAddress): MessageId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this is where the brand is given
  return (campaignPrefix(address.partition, address.campaignNumber) +
    encode(address.acceptedAtMs, GROUP_LENGTHS.time) +
    encode(address.node * UINT32 + address.sequence, GROUP_LENGTHS.origin)) as MessageId;
}

/** @returns null when the text is not a message id (a foreign `biz_opaque_callback_data`, a typo in a URL). */
export function decodeMessageId(text: string): MessageAddress | null {
  if (!isMessageId(text)) return null;
  const campaign = decode(text.slice(0, 8));
  const origin = decode(text.slice(18));
  return {
    partition: Math.floor(campaign / UINT32),
    campaignNumber: campaign % UINT32,
    acceptedAtMs: decode(text.slice(8, 18)),
    node: Math.floor(origin / UINT32),
    sequence: origin % UINT32,
  };
}

export function isMessageId(text: string): text is MessageId {
  return PATTERN.test(text);
}

/** The 8 characters that every message of one campaign in one partition begins with. */
export function campaignPrefix(partition: number, campaignNumber: number): string {
  return encode(partition * UINT32 + campaignNumber, GROUP_LENGTHS.campaign);
}

/** The smallest possible id of a campaign's message accepted at or after `atMs`. */
export function firstIdAt(partition: number, campaignNumber: number, atMs: number): string {
  return campaignPrefix(partition, campaignNumber) + encode(atMs, GROUP_LENGTHS.time);
}

function encode(value: number, length: number): string {
  let text = "";
  let rest = value;
  for (let digit = 0; digit < length; digit++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function decode(text: string): number {
  let value = 0;
  for (const character of text) value = value * 32 + ALPHABET.indexOf(character);
  return value;
}
