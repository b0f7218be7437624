// A campaign made ready to run: its definition and its template, checked against each other and compiled once.
// Threads compile for themselves (functions do not cross threads); the same input gives the same campaign.

import type { CampaignDefinition, CampaignFault } from "../message/campaign.ts";
import type { Attributes } from "../message/event.ts";
import type { WhatsAppTemplate } from "../message/template.ts";
import { compileMapping } from "./mapping.ts";
import type { Extraction } from "./mapping.ts";
import { preflight } from "./preflight.ts";
import { compileRenderer } from "./template-renderer.ts";
import type { Rendering } from "./template-renderer.ts";
import { compileTiming } from "./timing.ts";
import type { Timing } from "./timing.ts";

export interface CompiledCampaign {
  readonly definition: CampaignDefinition;
  /** False for events that the campaign's `when` filters out. */
  matches(payload: unknown): boolean;
  /** What `trigger.dedupe.path` reads; undefined when the campaign dedupes otherwise, or the value is not there. */
  dedupeValue(payload: unknown): string | undefined;
  /** The contact in a payload, or everything that is wrong with it. */
  extract(payload: unknown): Extraction;
  /** When its messages go and what cancels what; null: at once, and nothing. */
  readonly timing: Timing | null;
  /** One attempt's message. Cheap enough (a few µs) to be done again for every attempt. */
  render(input: RenderingInput): Rendering;
}

export interface RenderingInput {
  readonly messageId: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** E.164 with its plus sign. */
  readonly phoneNumber: string;
  readonly attributes: Attributes;
}

export type CampaignCompilation =
  | { readonly kind: "compiled"; readonly campaign: CompiledCampaign }
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] };

/**
 * @param definition as the campaign schema passed it.
 * @param template that the sender's account has under the definition's name and language; undefined when it has none.
 */
export function compileCampaign(
  definition: CampaignDefinition,
  template: WhatsAppTemplate | undefined,
): CampaignCompilation {
  const flight = preflight(definition, template);
  const slots = flight.kind === "cleared" ? flight.plan.slots : [];
  const needed = new Set(slots.flatMap(({ expression }) => expression.needs ?? []));
  const compiled = compileMapping(definition.trigger, needed);
  const timed = compileTiming(definition);
  if (flight.kind === "refused" || compiled.kind === "refused" || timed.kind === "refused") {
    const faults = [flight, compiled, timed].flatMap((part) => (part.kind === "refused" ? part.faults : []));
    return { kind: "refused", faults };
  }
  const render = compileRenderer(flight.shape, flight.plan);
  return {
    kind: "compiled",
    campaign: {
      definition,
      ...compiled.mapping,
      timing: timed.timing,
      render: ({ messageId, attempt, phoneNumber, attributes }) =>
        render({ phoneNumber, attributes, callbackData: callbackData(messageId, attempt) }),
    },
  };
}

/** How a status webhook finds its message and attempt again. */
function callbackData(messageId: string, attempt: number): string {
  return attempt === 1 ? messageId : `${messageId}.${attempt}`;
}
