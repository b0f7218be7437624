// nats.js wraps errors in errors: "JetStream is not enabled" may be a request that nobody heard, a permission, or the
// truth. What matters is the innermost of them.

import { errors } from "@nats-io/transport-node";

/** Deeper than nats.js nests; a circle would else never end. */
const CAUSES_MAX = 8;

/** Nobody listened: no JetStream, no stream, or no leader at this moment. */
export function isUnheard(error: unknown): boolean {
  return causes(error).some((cause) => cause instanceof errors.NoRespondersError);
}

/** The server's sentence when a right is missing, else null. */
export function missingRight(error: unknown): string | null {
  const violation = causes(error).find((cause) => cause instanceof errors.PermissionViolationError);
  return violation?.message ?? null;
}

/** The error and what caused it, outermost first. */
function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let at = error; at instanceof Error && chain.length < CAUSES_MAX; at = at.cause) chain.push(at);
  return chain;
}
