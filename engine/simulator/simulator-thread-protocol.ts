// What the simulator's thread and its owner say to each other.

import type { WhatsAppTemplate } from "../message/template.ts";
import { ERROR_CODES, EngineError, messageOf, type ErrorCode } from "../runtime/errors.ts";
import type { Change } from "./change.ts";
import type { Inbound } from "./inbound.ts";
import type { ScenarioInput } from "./scenario.ts";

export type SimulatorCall =
  | { readonly kind: "received" }
  | { readonly kind: "scenario" }
  | { readonly kind: "setScenario"; readonly scenario: ScenarioInput }
  | { readonly kind: "setTemplates"; readonly templates: readonly WhatsAppTemplate[] }
  | { readonly kind: "setWebhookUrl"; readonly url: string | null }
  | { readonly kind: "state" }
  | { readonly kind: "setState"; readonly changes: Change | readonly Change[] }
  | { readonly kind: "receiveInbound"; readonly inbound: Inbound }
  | { readonly kind: "stats" }
  | { readonly kind: "idle" }
  | { readonly kind: "close" };

export interface NumberedCall {
  readonly number: number;
  readonly call: SimulatorCall;
}

/** Number 0 speaks of the start. */
export type NumberedResult =
  | { readonly number: number; readonly kind: "result"; readonly value: unknown }
  | { readonly number: number; readonly kind: "error"; readonly error: PlainError };

/** Errors lose their class and code between threads, so they travel as data. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
}

export function plainError(error: unknown): PlainError {
  return { code: error instanceof EngineError ? error.code : "", message: messageOf(error) };
}

export function rebuildError(error: PlainError): Error {
  return isErrorCode(error.code) ? new EngineError(error.code, error.message) : new Error(error.message);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
