// The operators' API over plain maps: its handlers only know functions, so these are arguments, not mocks.

import { createOperatorsApi } from "../../engine/api/operators-api.ts";
import type {
  Access,
  CampaignEntry,
  CampaignFigures,
  KeyView,
  MessageArchive,
  OperatorsApiDeps,
  ReplayQuery,
  SenderView,
} from "../../engine/api/operators-api-deps.ts";
import { OptOutBook } from "../../engine/consent/opt-out-book.ts";
import type { CampaignDefinition } from "../../engine/message/campaign.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import { checkCampaign } from "../../engine/runtime/campaign-definition.ts";
import { problem, type HttpReply, type HttpRequest, type HttpResponse, type Route } from "../../engine/runtime/http.ts";
import { MemoryOptOuts } from "../consent/memory-opt-outs.ts";

export const NOW_MS: number = Date.UTC(2026, 10, 23, 12);

export const ADMIN_KEY = "vk_admin";
/** Reads `order-confirmation` only. */
export const READ_KEY = "vk_read";

export class InMemoryEngine {
  readonly campaigns: Map<string, CampaignEntry> = new Map();
  readonly keys: (KeyView & { key: string })[] = [];
  readonly records: MessageRecord[] = [];
  readonly replays: ReplayQuery[] = [];
  readonly searches: Parameters<MessageArchive["search"]>[0][] = [];
  readonly brokenExports: unknown[] = [];
  figures: CampaignFigures = {
    counters: { accepted: 0, byStatus: {}, byError: {}, doubleSends: 0 },
    requests: { accepted: 0, refused: 0 },
    oldestWaitingAtMs: null,
    delayed: 0,
    perSecond: { accepted: 0, dispatched: 0, settled: 0 },
    dispatchPerSecondMax: 80,
    ackMs: null,
    responseMs: null,
  };
  senders: readonly SenderView[] = [
    {
      id: "main",
      phoneNumberId: "1",
      wabaId: "2",
      portfolio: "2",
      messagesPerSecond: 80,
      rate: { configured: "auto", granted: 80, now: 80 },
      pairLimit: { periodSeconds: 6, burst: 45 },
      dailyRecipients: 2000,
      recipients: { used: 7, limit: 2000, allowance: 2000, freesAt: null, runsOutAt: null },
      standing: null,
      blocks: [],
      blocked: null,
      templates: 3,
    },
  ];
  isReady = true;
  optOuts: OptOutBook = optOutBook();
  /** Chunks of the export; an error in their place breaks it off there. */
  csv: (string | Error)[] = ["message_id,status\r\n"];
  readonly routes: readonly Route[] = createOperatorsApi(this.#deps());

  #deps(): OperatorsApiDeps {
    return {
      authorise: (request) => accessOf(request),
      campaigns: this.#campaigns(),
      keys: this.#keys(),
      messages: this.#messages(),
      optOuts: {
        find: (phone) => this.optOuts.find(phone),
        page: (query) => this.optOuts.page(query),
        add: (items) => this.optOuts.add(items),
        remove: (phone) => this.optOuts.remove(phone),
      },
      stats: () => this.figures,
      senders: () => this.senders,
      unknownErrorCodes: () => ({ "131999": 2 }),
      cluster: () => ({ driver: "embedded", node: null, nodes: [], partitions: [] }),
      readiness: () => ({
        isReady: this.isReady,
        reasons: this.isReady ? [] : ["the ledger opens"],
        isSimulated: true,
      }),
      nowMs: () => NOW_MS,
      onExportBroken: (_campaignId, error) => void this.brokenExports.push(error),
    };
  }

  #campaigns(): OperatorsApiDeps["campaigns"] {
    return {
      get: (id) => this.campaigns.get(id),
      list: () => [...this.campaigns.values()],
      checkCampaign,
      put: async (definition) => {
        const known = this.campaigns.get(definition.id);
        if (known?.source === "file") return { kind: "managed_by_file" };
        if (definition.template.name === "unknown") {
          return {
            kind: "refused",
            faults: [{ path: "template.name", message: "there is no such template" }],
          };
        }
        const entry = entryOf(definition, "api");
        this.campaigns.set(definition.id, entry);
        return { kind: "stored", entry, isNew: known === undefined };
      },
      remove: async (id) => {
        const entry = this.campaigns.get(id);
        if (entry === undefined) return { kind: "not_found" };
        if (entry.source === "file") return { kind: "managed_by_file" };
        this.campaigns.delete(id);
        return { kind: "changed", entry };
      },
      setStatus: async (id, status) => {
        const entry = this.campaigns.get(id);
        if (entry === undefined) return { kind: "not_found" };
        if (status === "active" && entry.faults.length > 0) return { kind: "refused", faults: entry.faults };
        const changed = { ...entry, definition: { ...entry.definition, status } };
        this.campaigns.set(id, changed);
        return { kind: "changed", entry: changed };
      },
    };
  }

  #keys(): OperatorsApiDeps["keys"] {
    return {
      create: async (request) => {
        const id = `key${this.keys.length + 1}`;
        const created = {
          ...request,
          id,
          key: `vk_${id}`,
          createdAtMs: NOW_MS,
          lastUsedAtMs: null,
          revokedAtMs: null,
        };
        this.keys.push(created);
        return created;
      },
      list: () => this.keys.map(({ key: _key, ...view }) => view),
      revoke: async (id) => this.keys.some((key) => key.id === id),
    };
  }

  #messages(): MessageArchive {
    return {
      find: async (messageId) => this.records.find((record) => record.messageId === messageId),
      search: async (query) => {
        this.searches.push(query);
        if (query.cursor === "bad") return { kind: "invalid_cursor" };
        return { kind: "page", records: this.records.slice(0, query.limit), cursor: "next" };
      },
      exportCsv: async (_query, sink) => {
        for (const chunk of this.csv) {
          if (chunk instanceof Error) throw chunk;
          if (!(await sink.write(Buffer.from(chunk)))) break;
        }
        return { rows: 0 };
      },
      replay: async (query) => {
        this.replays.push(query);
        return { requeued: 3 };
      },
    };
  }
}

export function optOutBook(): OptOutBook {
  const unknown = { phoneOf: () => null, onNobody: () => undefined };
  return new OptOutBook({ store: new MemoryOptOuts(), ...unknown, clock: { nowMs: () => NOW_MS } });
}

/** A definition as the API takes it, with every default left out. */
export function campaignBody(id: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id,
    sender: "main",
    status: "active",
    trigger: {
      attributes: {
        phoneNumber: { path: ["phone", "customer.phone"], type: "phone", required: true },
        firstName: { path: "customer.first_name", type: "string" },
        item: { path: "line_items[1].title", type: "string" },
      },
      when: { path: "financial_status", in: ["paid"] },
    },
    template: { name: "order_confirmation", language: "en_US", body: ["{{ firstName }}"] },
    ...more,
  };
}

export function definitionOf(id: string, more: Readonly<Record<string, unknown>> = {}): CampaignDefinition {
  const checked = checkCampaign(campaignBody(id, more));
  if (checked.kind === "invalid") throw new Error(JSON.stringify(checked.faults));
  return checked.definition;
}

export function entryOf(definition: CampaignDefinition, source: "file" | "api" = "api"): CampaignEntry {
  return {
    definition,
    number: 1,
    partition: 0,
    source,
    faults: [],
    parking: null,
    takesEvents: true,
    urlToken: "t0k3n",
  };
}

export function recordOf(sequence: number, more: Partial<MessageRecord> = {}): MessageRecord {
  const acceptedAtMs = NOW_MS + sequence;
  return {
    messageId: encodeMessageId({
      partition: 0,
      campaignNumber: 1,
      acceptedAtMs,
      node: 0,
      sequence,
    }),
    campaignId: "order-confirmation",
    phoneNumber: "+14155552671",
    attributes: "{}",
    templateName: "order_confirmation",
    templateLanguage: "en_US",
    message: "Hi Maria",
    status: "delivered",
    errorCode: null,
    errorReason: "",
    attempts: 1,
    wamid: "wamid.1",
    acceptedAtMs,
    dispatchedAtMs: NOW_MS + 5,
    sentAtMs: NOW_MS + 10,
    deliveredAtMs: NOW_MS + 20,
    readAtMs: 0,
    failedAtMs: 0,
    pricingCategory: "utility",
    dueAtMs: 0,
    sendAtMs: 0,
    waitKey: "",
    pricingAtMs: 0,
    closedAttempts: 0,
    timeline: [{ atMs: acceptedAtMs, status: "queued", attempt: 0, errorCode: null, detail: "" }],
    ...more,
  };
}

function accessOf(request: HttpRequest): Access {
  const key = request.headers.get("x-api-key");
  if (key === ADMIN_KEY) return { kind: "allowed", isAdmin: true, campaigns: null };
  if (key === READ_KEY) return { kind: "allowed", isAdmin: false, campaigns: ["order-confirmation"] };
  return {
    kind: "refused",
    response: problem({ status: 401, code: "unauthorized", detail: "Send a live API key." }),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Undefined when the text is no JSON. */
  readonly body: AnswerBody;
  /** False: the stream was begun and never ended. */
  readonly isComplete: boolean;
  /** What the handler threw. */
  readonly thrown: unknown;
}

/** What the tests look at, of whatever the routes answer; each answer has some of it. */
interface AnswerBody {
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly {
    readonly path: string;
    readonly parameter: string;
    readonly code: string;
    readonly message: string;
  }[];
  readonly items: readonly { readonly id: string; readonly timeline?: unknown }[];
  readonly cursor: string | null;
  readonly status: string;
  readonly campaigns: readonly string[] | null;
  readonly hookPath: string | null;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly drainSeconds: number | null;
}

export interface Ask {
  readonly key?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls the route that a method and address select, as the server would. */
export async function ask(engine: InMemoryEngine, method: string, address: string, options: Ask = {}): Promise<Answer> {
  const [path = "", query = ""] = address.split("?");
  const found = engine.routes
    .filter((route) => route.method === method.toLowerCase())
    .map((route) => ({ route, params: paramsOf(route.pattern, path) }))
    .find(({ params }) => params !== null);
  if (found === undefined || found.params === null) throw new Error(`no route for ${method} ${path}`);
  const { body = "" } = options;
  const headers = new Map(Object.entries({ "x-api-key": options.key ?? ADMIN_KEY, ...options.headers }));
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  const reply = new RecordedReply();
  let thrown: unknown = null;
  try {
    await found.route.handle(
      {
        method,
        path,
        query,
        params: found.params,
        headers,
        body: bytes,
        remoteAddress: "127.0.0.1",
      },
      reply,
    );
  } catch (error) {
    thrown = error;
  }
  return { ...reply.answer(), thrown };
}

/** Null when the path is not of this pattern. A fixed part goes before a named one, as in the server. */
export function paramsOf(pattern: string, path: string): string[] | null {
  const parts = path.split("/");
  const wanted = pattern.split("/");
  if (parts.length !== wanted.length) return null;
  const params: string[] = [];
  for (const [index, name] of wanted.entries()) {
    const part = parts[index] ?? "";
    if (name.startsWith(":")) params.push(decodeURIComponent(part));
    else if (name !== part) return null;
  }
  return params;
}

class RecordedReply implements HttpReply {
  readonly isAborted = false;
  #head: Pick<HttpResponse, "status" | "headers"> = { status: 0 };
  #text = "";
  #isComplete = false;

  send(response: HttpResponse): void {
    this.#head = response;
    this.#text = Buffer.from(response.body ?? "").toString();
    this.#isComplete = true;
  }

  stream(head: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
  }): ReturnType<HttpReply["stream"]> {
    this.#head = head;
    return {
      write: async (chunk) => {
        this.#text += Buffer.from(chunk).toString();
        return true;
      },
      end: () => {
        this.#isComplete = true;
      },
    };
  }

  onAbort(): void {}

  answer(): Omit<Answer, "thrown"> {
    const body = parsedOf(this.#text);
    const { status, headers = {} } = this.#head;
    return { status, headers, text: this.#text, body, isComplete: this.#isComplete };
  }
}

function parsedOf(text: string): AnswerBody {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is not there fails its test.
    return JSON.parse(text) as AnswerBody;
  } catch {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above.
    return undefined as unknown as AnswerBody;
  }
}
