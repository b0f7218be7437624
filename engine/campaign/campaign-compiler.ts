// From what an author declared to what can run: finds the sender and the template, compiles, and says what is
// missing. Nothing is compiled twice: the same definition with the same template keeps its compiled form.

import type { CampaignDefinition, CampaignFault } from "../message/campaign.ts";
import type { WhatsAppTemplate } from "../message/template.ts";
import { nearestKey } from "../runtime/nearest-key.ts";
import type { CampaignCompilation, CompiledCampaign } from "./compiled-campaign.ts";
import { inGoodStanding, type Parking } from "./parking.ts";

/** A definition as its author wrote it, and where from. */
export interface DeclaredCampaign {
  readonly definition: CampaignDefinition;
  readonly source: "file" | "api";
  /** Empty for API-made ones. */
  readonly file: string;
  /** Secrets that are not set. */
  readonly fileFaults: readonly CampaignFault[];
  /** Of a newer version of the file, which is not used. */
  readonly refusedFaults: readonly CampaignFault[];
}

export interface CheckedCampaign {
  readonly declared: DeclaredCampaign;
  readonly template: WhatsAppTemplate | null;
  /** Null when it has faults, but for those that only park it. */
  readonly compiled: CompiledCampaign | null;
  /** Those that park it among them. */
  readonly faults: readonly CampaignFault[];
  /** Null: it is not parked. */
  readonly parking: Parking | null;
}

export type CompileCampaign = (
  definition: CampaignDefinition,
  template: WhatsAppTemplate | undefined,
) => CampaignCompilation;

export type Senders = Readonly<Record<string, { readonly wabaId: string }>>;

/** wabaId → its templates. An account that is not in the map has not been read yet. */
export type TemplatesByAccount = ReadonlyMap<string, readonly WhatsAppTemplate[]>;

/** For a moment after the start this is so of every campaign, and nothing that an operator has to see to. */
export const TEMPLATES_UNREAD: CampaignFault = {
  path: "template.name",
  message: "the templates of the sender's WhatsApp account have not been read yet",
};

export class CampaignCompiler {
  readonly #compile: CompileCampaign;
  readonly #nowMs: () => number;
  #senders: Senders;
  #accounts: ReadonlyMap<string, ReadonlyMap<string, WhatsAppTemplate>> = new Map();

  constructor(options: { compile: CompileCampaign; senders: Senders; nowMs(): number }) {
    this.#compile = options.compile;
    this.#nowMs = () => options.nowMs();
    this.#senders = options.senders;
  }

  setSenders(senders: Senders): void {
    this.#senders = senders;
  }

  setTemplates(templates: TemplatesByAccount): void {
    const accounts = new Map<string, ReadonlyMap<string, WhatsAppTemplate>>();
    for (const [wabaId, list] of templates) {
      accounts.set(wabaId, new Map(list.map((template) => [templateKey(template), template])));
    }
    this.#accounts = accounts;
  }

  /** @param before The same campaign when it was last checked. */
  check(declared: DeclaredCampaign, before: CheckedCampaign | undefined): CheckedCampaign {
    const { definition, fileFaults } = declared;
    const sender = Object.hasOwn(this.#senders, definition.sender) ? this.#senders[definition.sender] : undefined;
    if (sender === undefined) return faulty(declared, [...fileFaults, this.#senderFault(definition)]);
    const account = this.#accounts.get(sender.wabaId);
    if (account === undefined) return faulty(declared, [...fileFaults, TEMPLATES_UNREAD]);
    const template = account.get(templateKey(definition.template)) ?? null;
    if (before !== undefined && isStillValid(before, declared, template)) return { ...before, declared };
    const result = this.#compile(definition, template ?? undefined);
    const faults = [...fileFaults, ...(result.kind === "refused" ? result.faults : [])];
    if (result.kind === "compiled") {
      const compiled = faults.length === 0 ? result.campaign : null;
      return { declared, template, compiled, faults, parking: null };
    }
    const compiled = fileFaults.length === 0 && template !== null ? this.#parked(definition, template) : null;
    const sinceMs = before?.parking?.sinceMs ?? this.#nowMs();
    return { declared, template, compiled, faults, parking: compiled === null ? null : { faults, sinceMs } };
  }

  /** Null: it could not work either if Meta let its template be sent. */
  #parked(definition: CampaignDefinition, template: WhatsAppTemplate): CompiledCampaign | null {
    const sendable = inGoodStanding(definition, template);
    if (sendable === null) return null;
    const result = this.#compile(definition, sendable);
    return result.kind === "compiled" ? result.campaign : null;
  }

  #senderFault({ sender }: CampaignDefinition): CampaignFault {
    const nearest = nearestKey(sender, Object.keys(this.#senders));
    const hint = nearest === null ? "it has none yet" : `the nearest is "${nearest}"`;
    return { path: "sender", message: `volley.yaml has no sender "${sender}"; ${hint}` };
  }
}

/** Files and Meta's answers are read anew each time, so mostly it is another object with the same content. */
export function isSameContent(left: unknown, right: unknown): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

function isStillValid(before: CheckedCampaign, now: DeclaredCampaign, template: WhatsAppTemplate | null): boolean {
  return (
    before.compiled !== null &&
    now.fileFaults.length === 0 &&
    isSameContent(before.declared.definition, now.definition) &&
    isSameContent(before.template, template)
  );
}

function faulty(declared: DeclaredCampaign, faults: readonly CampaignFault[]): CheckedCampaign {
  return { declared, template: null, compiled: null, faults, parking: null };
}

/** `en-US` and `en_US` are written for the same thing. */
function templateKey({ name, language }: { readonly name: string; readonly language: string }): string {
  return `${name}/${language.replaceAll("-", "_").toLowerCase()}`;
}
