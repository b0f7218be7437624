// What all parts of a template are planned with: collects the slots, and the faults of those that cannot be filled.

import type { CampaignFault } from "../message/campaign.ts";
import { compileExpression } from "./expression.ts";
import type { Slot } from "./slot.ts";
import type { TemplateText } from "./template-text.ts";

/** A slot without its expression. */
export type Wanted = Omit<Slot, "expression">;

/** A text of the template whose values must keep to a length together. */
export interface LimitedText {
  /** In the campaign's definition: `template.body`. */
  readonly path: string;
  /** For people: `body`, `card 0 body`. */
  readonly name: string;
  readonly text: TemplateText;
  readonly lengthMax: number;
  /** Indexes of the slots of `text.variables`; -1 where a fault left one out. */
  readonly slots: readonly number[];
}

/** Where a part stands: the message itself (`template`), or a card (`template.cards[0]`). */
export interface PartPlace {
  readonly path: string;
  /** Before the names of its slots: empty, or `card 0 `. */
  readonly prefix: string;
  readonly isPositional: boolean;
  /** Upper case. */
  readonly category: string;
  readonly bodyLengthMax: number;
}

export class SlotPlanner {
  readonly slots: Slot[] = [];
  readonly texts: LimitedText[] = [];
  readonly faults: CampaignFault[] = [];
  readonly #language: string;

  constructor(language: string) {
    this.#language = language;
  }

  /** @returns the slot's index; -1 with a fault when the expression cannot be read. */
  add(wanted: Wanted, text: string): number {
    const compiled = compileExpression(text, this.#language);
    if (compiled.kind === "compiled") return this.slots.push({ ...wanted, expression: compiled.expression }) - 1;
    this.refuse(wanted.path, `cannot be read as Liquid: ${compiled.message}`);
    return -1;
  }

  addOrMiss(wanted: Wanted, text: string | undefined, missing: string): number {
    if (text !== undefined) return this.add(wanted, text);
    this.refuse(wanted.path, missing);
    return -1;
  }

  /** @returns a slot for each variable, in their order. */
  addNamed(
    path: string,
    given: Readonly<Record<string, string>>,
    variables: readonly string[],
    wanted: (variable: string, path: string) => Wanted,
  ): number[] {
    for (const name of Object.keys(given)) {
      if (variables.includes(name)) continue;
      const known = variables.length === 0 ? "none" : variables.join(", ");
      this.refuse(`${path}.${name}`, `is no variable of the template; its variables are: ${known}`);
    }
    return variables.map((variable) => {
      const text = Object.hasOwn(given, variable) ? given[variable] : undefined;
      const missing = `is missing: the template has the variable {{${variable}}}`;
      return this.addOrMiss(wanted(variable, `${path}.${variable}`), text, missing);
    });
  }

  refuse(path: string, message: string): void {
    this.faults.push({ path, message });
  }
}
