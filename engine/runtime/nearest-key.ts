// What a mistyped word was most likely meant to be.

import { distance } from "fastest-levenshtein";

/** Longer words are cut before they are compared: the cost of a comparison grows with the product of the lengths. */
const COMPARED_CHARACTERS_MAX = 64;

/** The candidate with the fewest edits between, the earlier one of two; null when there is no candidate. */
export function nearestKey(key: string, candidates: readonly string[]): string | null {
  const wanted = comparable(key);
  let nearest: string | null = null;
  let nearestEdits = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = distance(wanted, comparable(candidate));
    if (edits < nearestEdits) {
      nearest = candidate;
      nearestEdits = edits;
    }
  }
  return nearest;
}

/** `messages_per_second` and `MessagesPerSecond` are slips of `messagesPerSecond`, not other words. */
function comparable(word: string): string {
  return word.slice(0, COMPARED_CHARACTERS_MAX).toLowerCase().replaceAll(/[-_]/g, "");
}
