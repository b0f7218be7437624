// The HTTP vocabulary that the server and the handlers share, so that handlers never see a socket.

export interface HttpRequest {
  /** Upper case. */
  readonly method: string;
  readonly path: string;
  /** Without the question mark; empty when there is none. */
  readonly query: string;
  /** The `:name` parts of the route's pattern, decoded, in order. */
  readonly params: readonly string[];
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Empty for a request without a body. Valid after the handler returned. */
  readonly body: Buffer;
  readonly remoteAddress: string;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** The one way to answer. Every call after the client has gone, or after the answer, does nothing. */
export interface HttpReply {
  readonly isAborted: boolean;
  send(response: HttpResponse): void;
  stream(head: { readonly status: number; readonly headers: Readonly<Record<string, string>> }): ResponseStream;
  /** Called once if the client goes away before the answer is complete. */
  onAbort(call: () => void): void;
}

export interface ResponseStream {
  /** Resolves once the client has room for more: true to go on, false when it has gone. */
  write(chunk: Uint8Array): Promise<boolean>;
  end(): void;
}

export interface Route {
  readonly method: "get" | "post" | "put" | "delete";
  /** `/api/campaigns/:campaignId/trigger` */
  readonly pattern: string;
  readonly bodyBytesMax: number;
  handle(request: HttpRequest, reply: HttpReply): void | Promise<void>;
}

export interface ProblemDetails {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the problem object, such as `errors`. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** An `application/problem+json` answer (RFC 9457) with Volley's stable `code`. */
export function problem(details: ProblemDetails): HttpResponse {
  const title = details.code.replaceAll("_", " ");
  return {
    status: details.status,
    headers: { "content-type": "application/problem+json", ...details.headers },
    body: JSON.stringify({
      type: `urn:volley:problem:${details.code}`,
      title: title.charAt(0).toUpperCase() + title.slice(1),
      status: details.status,
      code: details.code,
      detail: details.detail,
      ...details.more,
    }),
  };
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) };
}
