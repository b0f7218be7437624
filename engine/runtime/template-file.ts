// The templates/ folder: templates in Meta's own JSON, for work without a connection. A file holds one
// template, or a whole answer of `GET /{wabaId}/message_templates` (`{ "data": [ … ] }`).

import schema from "../../schemas/template.schema.json" with { type: "json" };
import type { TemplateComponent, WhatsAppTemplate } from "../message/template.ts";
import { settingsFiles } from "./campaign-file.ts";
import type { FileFault } from "./file-fault.ts";
import { compileSchema, pathText } from "./schema-check.ts";
import type { SchemaFault } from "./schema-check.ts";
import { readText } from "./settings-file.ts";
import { parseYaml } from "./yaml-document.ts";
import type { PathSegments, YamlDocument } from "./yaml-document.ts";

export interface TemplateFolder {
  readonly templates: readonly WhatsAppTemplate[];
  /** A template with a fault is left out; the others load. */
  readonly faults: readonly FileFault[];
}

/** A template as a file may have it: its id also as a number. */
interface TemplateDocument {
  readonly id?: string | number;
  readonly name: string;
  readonly language: string;
  readonly status: string;
  readonly category: string;
  readonly components: readonly TemplateComponent[];
}

/** Meta allows 6,000 templates an account. */
const TEMPLATE_FILES_MAX = 10_000;

const checkTemplate = compileSchema<TemplateDocument>(schema);

/**
 * Reads every `*.json` of a folder; one that does not exist has none. Of two templates with one name and language
 * the first counts.
 *
 * @throws EngineError ERR_CONFIG_UNREADABLE when there are more than TEMPLATE_FILES_MAX files.
 */
export function loadTemplateFolder(folder: string): TemplateFolder {
  const templates = new Map<string, WhatsAppTemplate>();
  const faults: FileFault[] = [];
  for (const file of settingsFiles(folder, {
    extensions: new Set([".json"]),
    filesMax: TEMPLATE_FILES_MAX,
  })) {
    for (const found of templatesOf(file)) {
      if (found.kind === "fault") {
        faults.push(found.fault);
        continue;
      }
      const key = `${found.template.name}/${found.template.language}`;
      if (templates.has(key)) faults.push(found.faultIfRepeated);
      else templates.set(key, found.template);
    }
  }
  return { templates: [...templates.values()], faults };
}

type Found =
  | { readonly kind: "fault"; readonly fault: FileFault }
  | {
      readonly kind: "template";
      readonly template: WhatsAppTemplate;
      readonly faultIfRepeated: FileFault;
    };

function templatesOf(file: string): Found[] {
  const read = readText(file);
  if (read.kind === "unreadable") return [{ kind: "fault", fault: read.fault }];
  // The YAML parser, since it knows lines and keeps template ids beyond 2^53 whole.
  const parsed = parseYaml(read.text);
  if (parsed.kind === "malformed") {
    return parsed.faults.map(({ at, message }) => ({
      kind: "fault",
      fault: { file, ...at, path: "", message },
    }));
  }
  const { document } = parsed;
  const list = dataOf(document.value);
  if (list === null) return foundAt({ file, document, path: [], value: document.value });
  return list.flatMap((value, index) => foundAt({ file, document, path: ["data", index], value }));
}

function dataOf(value: unknown): readonly unknown[] | null {
  if (typeof value !== "object" || value === null || !("data" in value)) return null;
  return Array.isArray(value.data) ? value.data : null;
}

interface Candidate {
  readonly file: string;
  readonly document: YamlDocument;
  readonly path: PathSegments;
  readonly value: unknown;
}

function foundAt(candidate: Candidate): Found[] {
  const checked = checkTemplate(candidate.value);
  if (checked.kind === "misfits") {
    return checked.faults.map((fault) => ({ kind: "fault", fault: located(candidate, fault) }));
  }
  const template = withTextId(checked.value);
  const message = `expected one template of a name and language, but ${template.name} in ${template.language} was there before`;
  return [
    {
      kind: "template",
      template,
      faultIfRepeated: located(candidate, { path: ["name"], concerns: "value", message }),
    },
  ];
}

function withTextId({ id, ...template }: TemplateDocument): WhatsAppTemplate {
  return id === undefined ? template : { ...template, id: String(id) };
}

function located({ file, document, path }: Candidate, fault: SchemaFault): FileFault {
  const whole = [...path, ...fault.path];
  const at = fault.concerns === "key" ? document.positionOfKey(whole) : document.positionOf(whole);
  return { file, ...at, path: pathText(whole), message: fault.message };
}
