// A YAML (or JSON, its subset) text that remembers where everything in it stands, so that a fault found much
// later, by a schema or a cross-check, can still name its line and column.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import type { Document, Node } from "yaml";

import { messageOf } from "./errors.ts";

/** Keys and list positions from the root down. */
export type PathSegments = readonly (string | number)[];

/** Both counted from 1. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

export interface YamlFault {
  readonly at: TextPosition;
  readonly message: string;
}

export interface YamlDocument {
  /** Plain objects, arrays and scalars. Integers beyond 2^53 are their digits as text: a number would lose some. */
  readonly value: unknown;
  /** Where a value stands; of a missing one, the nearest thing around it. */
  positionOf(path: PathSegments): TextPosition;
  /** Where the key of a value stands; of a list item, the item. */
  positionOfKey(path: PathSegments): TextPosition;
}

export type YamlResult =
  | { readonly kind: "parsed"; readonly document: YamlDocument }
  | { readonly kind: "malformed"; readonly faults: readonly YamlFault[] };

/** Against a text whose aliases multiply ("billion laughs"). */
const ALIASES_MAX = 100;

export function parseYaml(text: string): YamlResult {
  try {
    return parseText(text);
  } catch (error) {
    // A text nested some thousand levels deep exhausts the parser's stack.
    return {
      kind: "malformed",
      faults: [{ at: { line: 1, column: 1 }, message: messageOf(error) }],
    };
  }
}

function parseText(text: string): YamlResult {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    logLevel: "error",
  });
  // An unresolved tag is only a warning to the parser, but here it is always a slip.
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0) {
    const faults = problems.map(({ pos, message }) => ({
      at: positionAt(lines, pos[0]),
      message: plain(message),
    }));
    return { kind: "malformed", faults };
  }
  keepLongIntegers(document);
  // Throws at an alias without its anchor, or at too many of them.
  const value = document.toJS({ maxAliasCount: ALIASES_MAX }) as unknown;
  return { kind: "parsed", document: locatedDocument(document, lines, value) };
}

function plain(message: string): string {
  if (message === "Map keys must be unique") return "this key is given twice";
  return message.replace(/; please use YAML\.parseAllDocuments\(\)/, "; one is allowed");
}

function keepLongIntegers(document: Document): void {
  visit(document, {
    Scalar(_, node) {
      const isCut = typeof node.value === "number" && !Number.isSafeInteger(node.value);
      if (isCut && node.source !== undefined && /^-?\d+$/.test(node.source)) node.value = node.source;
    },
  });
}

function locatedDocument(document: Document, lines: LineCounter, value: unknown): YamlDocument {
  const find = (path: PathSegments): FoundNodes => findNodes(document, path);
  return {
    value,
    positionOf(path) {
      const { node, key } = find(path);
      // `dedupe:` with nothing after it has an empty value whose range is the end of the line: its key is clearer.
      const isEmpty = isScalar(node) && (node.source === undefined || node.source === "");
      return positionAt(lines, startOf(isEmpty ? (key ?? node) : node));
    },
    positionOfKey(path) {
      const { node, key } = find(path);
      return positionAt(lines, startOf(key ?? node));
    },
  };
}

interface FoundNodes {
  readonly node: Node | null;
  readonly key: Node | null;
}

/** Walks down as far as the path exists. */
function findNodes(document: Document, path: PathSegments): FoundNodes {
  let found: FoundNodes = { node: document.contents, key: null };
  for (const segment of path) {
    const child = childOf(document, found.node, segment);
    if (child === null) return found;
    found = child;
  }
  return found;
}

function childOf(document: Document, parent: Node | null, segment: string | number): FoundNodes | null {
  const node = isAlias(parent) ? (parent.resolve(document) ?? null) : parent;
  if (isMap<Node, Node | null>(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment));
    return pair === undefined ? null : { node: pair.value ?? pair.key, key: pair.key };
  }
  if (isSeq<Node>(node)) {
    const item = node.items[Number(segment)];
    return item === undefined ? null : { node: item, key: null };
  }
  return null;
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

function positionAt(lines: LineCounter, offset: number): TextPosition {
  const { line, col } = lines.linePos(offset);
  // An empty text has no line at all.
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}
