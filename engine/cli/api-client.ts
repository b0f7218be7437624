// The operators' API as the commands call it. Every refusal becomes one clear sentence: what the engine said, and
// what to do when it cannot be reached.

import { EngineError, messageOf } from "../runtime/errors.ts";

export interface ApiClient {
  readonly url: string;
  get<T>(path: string): Promise<T>;
  /** @returns whether it was created, and not there before. */
  put(path: string, body: unknown): Promise<{ readonly isNew: boolean }>;
  /** `body` a string: sent as it is, so that integers beyond 2^53 keep their digits. */
  post<T>(path: string, body?: unknown): Promise<T>;
  delete(path: string): Promise<void>;
  /** The answer's bytes as they come. */
  stream(path: string): Promise<AsyncIterable<Uint8Array>>;
}

/** What the engine answered in place of what was asked for. */
export class ApiRefusal extends EngineError {
  readonly status: number;
  /** The problem's stable code, such as `campaign_not_found`. */
  readonly problemCode: string;
  /** One line for each of the problem's `errors`. */
  readonly faults: readonly string[];

  constructor(status: number, body: unknown) {
    const problem = objectOf(body);
    super("ERR_CLI_API", textOf(problem["detail"]) || `The engine answered ${status}.`);
    this.status = status;
    this.problemCode = textOf(problem["code"]);
    this.faults = Array.isArray(problem["errors"]) ? problem["errors"].map(faultLine) : [];
  }
}

const ANSWER_TIMEOUT_MS = 30_000;

export function createApiClient(options: { readonly url: string; readonly key: string | null }): ApiClient {
  const url = options.url.replace(/\/+$/, "");
  const authentication: Record<string, string> = options.key === null ? {} : { "x-api-key": options.key };

  const call = async (method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> => {
    const headers = {
      ...authentication,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    };
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const request: RequestInit = { method, headers, ...(body === undefined ? {} : { body: text }) };
    if (signal !== undefined) request.signal = signal;
    let response: Response;
    try {
      response = await fetch(url + path, request);
    } catch (error) {
      throw unreachable(url, error);
    }
    if (response.ok) return response;
    throw new ApiRefusal(response.status, await readJson(response));
  };
  const brief = (method: string, path: string, body?: unknown): Promise<Response> =>
    call(method, path, body, AbortSignal.timeout(ANSWER_TIMEOUT_MS));

  return {
    url,
    get: async <T>(path: string) => await valueOf<T>(await brief("GET", path)),
    put: async (path, body) => ({ isNew: (await brief("PUT", path, body)).status === 201 }),
    post: async <T>(path: string, body?: unknown) => await valueOf<T>(await brief("POST", path, body)),
    delete: async (path) => void (await brief("DELETE", path)),
    async stream(path) {
      const { body } = await call("GET", path);
      if (body === null) throw new EngineError("ERR_CLI_API", `${url}${path} answered without a body.`);
      return body;
    },
  };
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the contract gives each path its shape.
async function valueOf<T>(response: Response): Promise<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above: this file is the boundary.
  return (await readJson(response)) as T;
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

function unreachable(url: string, error: unknown): EngineError {
  if (error instanceof Error && error.name === "TimeoutError") {
    return new EngineError("ERR_CLI_API", `The engine at ${url} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s.`);
  }
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const reason = objectOf(cause)["code"] === "ECONNREFUSED" ? "connection refused" : messageOf(cause);
  const advice = "start one with `volley start`, or name another with --url";
  return new EngineError("ERR_CLI_API", `No engine answers at ${url} (${reason}): ${advice}.`, {
    cause: error,
  });
}

function faultLine(fault: unknown): string {
  const { path, pointer, parameter, message } = objectOf(fault);
  const place = textOf(path) || textOf(pointer) || textOf(parameter);
  return place === "" ? textOf(message) : `${place}: ${textOf(message)}`;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
