// Pairs what a template wants with what the campaign gives: every variable gets exactly one expression, or a fault
// says what is missing, what is too much, and what to write instead.

import type { CampaignFault, TemplateUse } from "../message/campaign.ts";
import { compileExpression } from "./expression.ts";
import type { LocationField, Slot, SlotForm, SlotRole } from "./slot.ts";
import type { ButtonShape, TemplateShape } from "./template-shape.ts";

export interface SlotPlan {
  /** Header first, then the body's variables in order, then buttons by index. */
  readonly slots: readonly Slot[];
  readonly faults: readonly CampaignFault[];
}

interface Wanted {
  readonly path: string;
  readonly place: string;
  readonly role: SlotRole;
  readonly form: SlotForm;
}

const TEXT: SlotForm = { kind: "text" };
const LATITUDE_MAX = 90;
const LONGITUDE_MAX = 180;

const LOCATION_FORMS: Readonly<Record<LocationField, SlotForm>> = {
  latitude: { kind: "coordinate", degreesMax: LATITUDE_MAX },
  longitude: { kind: "coordinate", degreesMax: LONGITUDE_MAX },
  name: TEXT,
  address: TEXT,
};

export function planSlots(use: TemplateUse, shape: TemplateShape): SlotPlan {
  const planner = new SlotPlanner(use, shape);
  planner.planHeader();
  planner.planBody();
  for (const [index, button] of shape.buttons.entries()) planner.planButton(button, index);
  planner.refuseUnknownButtons();
  return planner;
}

class SlotPlanner implements SlotPlan {
  readonly slots: Slot[] = [];
  readonly faults: CampaignFault[] = [];
  readonly #use: TemplateUse;
  readonly #shape: TemplateShape;

  constructor(use: TemplateUse, shape: TemplateShape) {
    this.#use = use;
    this.#shape = shape;
  }

  planHeader(): void {
    const { header } = this.#shape;
    const given = this.#use.header;
    switch (header.kind) {
      case "none":
        if (given !== undefined) this.#refuse("template.header", "is given, but the template has no header");
        return;
      case "text":
        return this.#planHeaderText(header.text.variables, given);
      case "media":
        return this.#planHeaderFields(
          "headerMedia",
          given,
          [header.medium],
          header.medium === "document" ? ["filename"] : [],
        );
      case "location":
        return this.#planHeaderFields("headerLocation", given, ["latitude", "longitude", "name", "address"], []);
    }
  }

  planBody(): void {
    const { variables } = this.#shape.body;
    const given = this.#use.body ?? [];
    const form: SlotForm = this.#shape.category === "AUTHENTICATION" ? { kind: "oneTimeCode" } : TEXT;
    const wanted = (variable: string, path: string): Wanted => ({
      path,
      place: `body {{${variable}}}`,
      role: { kind: "body", variable },
      form,
    });
    if (isList(given)) return this.#planBodyList(given, wanted);
    if (this.#shape.isPositional && variables.length > 0) {
      return this.#refuse(
        "template.body",
        `must be a list of ${variables.length}: the template's variables are numbered`,
      );
    }
    this.#planNamed("template.body", given, variables, wanted);
  }

  planButton(shape: ButtonShape, index: number): void {
    const position = (this.#use.buttons ?? []).findIndex((button) => button.index === index);
    const path = position === -1 ? "template.buttons" : `template.buttons[${position}].value`;
    const text = this.#use.buttons?.[position]?.value;
    const wanted = (subType: "url" | "quick_reply" | "copy_code", form: SlotForm): Wanted => ({
      path,
      place: `button ${index}`,
      role: { kind: "button", index, subType },
      form,
    });
    switch (shape.kind) {
      case "static":
        if (text !== undefined) this.#refuse(path, `button ${index} (${shape.type}) takes no value`);
        return;
      case "unsupported":
        return this.#refuse(path, `button ${index} is of type ${shape.type}, which Volley cannot fill`);
      case "quickReply":
        if (text !== undefined) this.#add(wanted("quick_reply", { kind: "payload" }), text);
        return;
      case "url": {
        const form = { kind: "urlPart", prefix: shape.prefix, suffix: shape.suffix } as const;
        return this.#addOrMiss(wanted("url", form), text, `button ${index} needs what follows ${shape.prefix}`);
      }
      case "copyCode":
        return this.#addOrMiss(
          wanted("copy_code", { kind: "couponCode" }),
          text,
          `button ${index} needs the code to copy`,
        );
      case "oneTimeCode":
        return this.#planOneTimeCode(wanted("url", { kind: "oneTimeCode" }), text);
    }
  }

  refuseUnknownButtons(): void {
    const seen = new Set<number>();
    for (const [position, { index }] of (this.#use.buttons ?? []).entries()) {
      const path = `template.buttons[${position}].index`;
      const count = this.#shape.buttons.length;
      if (index >= count)
        this.#refuse(path, `${index} does not exist: the template has ${count} buttons, counted from 0`);
      if (seen.has(index)) this.#refuse(path, `${index} is given twice`);
      seen.add(index);
    }
  }

  #planHeaderText(variables: readonly string[], given: TemplateUse["header"]): void {
    const [only] = variables;
    if (only === undefined) {
      if (given !== undefined) this.#refuse("template.header", "is given, but the template's header has no variable");
    } else if (given === undefined) {
      this.#refuse("template.header", `is missing: the template's header has the variable {{${only}}}`);
    } else if (typeof given === "string") {
      this.#add(wantedHeaderText(only, "template.header"), given);
    } else {
      this.#planNamed("template.header", fieldsOf(given), variables, wantedHeaderText);
    }
  }

  #planHeaderFields(
    kind: "headerMedia" | "headerLocation",
    given: TemplateUse["header"],
    required: readonly string[],
    optional: readonly string[],
  ): void {
    const what = kind === "headerMedia" ? `a ${required.join("")}` : "a location";
    if (given === undefined || typeof given === "string") {
      const example = `{ ${required.map((name) => `${name}: …`).join(", ")} }`;
      return this.#refuse("template.header", `must be ${example}: the template's header is ${what}`);
    }
    const fields = fieldsOf(given);
    for (const name of Object.keys(fields)) {
      if (required.includes(name) || optional.includes(name)) continue;
      this.#refuse(`template.header.${name}`, `does not belong here: the template's header is ${what}`);
    }
    for (const name of [...required, ...optional]) {
      const text = Object.hasOwn(fields, name) ? fields[name] : undefined;
      const path = `template.header.${name}`;
      if (text !== undefined) this.#add({ path, place: `header ${name}`, ...headerField(name) }, text);
      else if (required.includes(name)) this.#refuse(path, `is missing: the template's header is ${what}`);
    }
  }

  #planBodyList(given: readonly string[], wanted: (variable: string, path: string) => Wanted): void {
    const { variables } = this.#shape.body;
    if (!this.#shape.isPositional && variables.length > 0) {
      return this.#refuse(
        "template.body",
        `must be a map with the names ${variables.join(", ")}: the template's variables are named`,
      );
    }
    if (given.length !== variables.length) {
      const needs =
        variables.length === 0 ? "takes none" : `needs ${variables.length} ({{${variables.join("}}, {{")}}})`;
      this.#refuse("template.body", `has ${given.length} values, but the template ${needs}`);
    }
    // Also where the number is wrong: what cannot be read in those that are there is told at once.
    for (const [index, text] of given.entries()) {
      this.#add(wanted(variables[index] ?? String(index + 1), `template.body[${index}]`), text);
    }
  }

  #planNamed(
    place: string,
    given: Readonly<Record<string, string>>,
    variables: readonly string[],
    wanted: (variable: string, path: string) => Wanted,
  ): void {
    for (const name of Object.keys(given)) {
      if (variables.includes(name)) continue;
      const known = variables.length === 0 ? "none" : variables.join(", ");
      this.#refuse(`${place}.${name}`, `is no variable of the template; its variables are: ${known}`);
    }
    for (const variable of variables) {
      const path = `${place}.${variable}`;
      const text = Object.hasOwn(given, variable) ? given[variable] : undefined;
      this.#addOrMiss(wanted(variable, path), text, `is missing: the template has the variable {{${variable}}}`);
    }
  }

  /** The code comes from the body by itself; giving it once more is allowed, giving another is not. */
  #planOneTimeCode(wanted: Wanted, text: string | undefined): void {
    const code = this.slots.find((slot) => slot.role.kind === "body");
    if (code === undefined) return;
    if (text !== undefined && text.replaceAll(/\s/g, "") !== code.expression.text.replaceAll(/\s/g, "")) {
      return this.#refuse(wanted.path, "must be the body's code, which it gets by itself: leave it out");
    }
    this.slots.push({ ...wanted, path: code.path, expression: code.expression });
  }

  #addOrMiss(wanted: Wanted, text: string | undefined, missing: string): void {
    if (text === undefined) this.#refuse(wanted.path, missing);
    else this.#add(wanted, text);
  }

  #add(wanted: Wanted, text: string): void {
    const compiled = compileExpression(text, this.#shape.language);
    if (compiled.kind === "compiled") this.slots.push({ ...wanted, expression: compiled.expression });
    else this.#refuse(wanted.path, `cannot be read as Liquid: ${compiled.message}`);
  }

  #refuse(path: string, message: string): void {
    this.faults.push({ path, message });
  }
}

function wantedHeaderText(variable: string, path: string): Wanted {
  return {
    path,
    place: `header {{${variable}}}`,
    role: { kind: "headerText", variable },
    form: TEXT,
  };
}

function isList(body: NonNullable<TemplateUse["body"]>): body is readonly string[] {
  return Array.isArray(body);
}

function fieldsOf(header: Exclude<TemplateUse["header"], string | undefined>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(header));
}

function headerField(name: string): Pick<Slot, "role" | "form"> {
  switch (name) {
    case "image":
    case "video":
    case "document":
      return { role: { kind: "headerMedia", medium: name }, form: { kind: "media" } };
    case "latitude":
    case "longitude":
    case "name":
    case "address":
      return { role: { kind: "headerLocation", field: name }, form: LOCATION_FORMS[name] };
    default:
      return { role: { kind: "headerFilename" }, form: TEXT };
  }
}
