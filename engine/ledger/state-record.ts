// The ledger's small state as bytes: numbers, and a campaign's state.

import { Packr } from "msgpackr";

import type { CampaignState } from "./campaign-state.ts";

type Row = readonly [
  campaignNumber: number,
  headId: string,
  diskFromId: string,
  tailId: string,
  accepted: number,
  byStatus: Record<string, number>,
  byError: Record<string, number>,
  /** Left out when there are none. */
  doubleSends?: number,
];

// useRecords off: msgpackr's shared structures have forked between writers; plain values cannot.
const packr = new Packr({ useRecords: false });

export function encodeNumber(value: number): Uint8Array {
  return packr.pack(value);
}

/** Trusts its input, as {@link decodeCampaignState} does: only this module writes state. */
export function decodeNumber(bytes: Uint8Array): number {
  return packr.unpack(bytes);
}

export function encodeText(text: string): Uint8Array {
  return packr.pack(text);
}

export function decodeText(bytes: Uint8Array): string {
  return packr.unpack(bytes);
}

export function encodeCampaignState(state: CampaignState): Uint8Array {
  const { accepted, byStatus, byError, doubleSends } = state.counters;
  const ids = [state.campaignNumber, state.headId, state.diskFromId, state.tailId] as const;
  const row: Row = [...ids, accepted, byStatus, byError];
  return packr.pack(doubleSends === 0 ? row : [...row, doubleSends]);
}

export function decodeCampaignState(bytes: Uint8Array): CampaignState {
  const row: Row = packr.unpack(bytes);
  const [campaignNumber, headId, diskFromId, tailId, accepted, byStatus, byError, doubleSends = 0] = row;
  return { campaignNumber, headId, diskFromId, tailId, counters: { accepted, byStatus, byError, doubleSends } };
}
