// A shop that never gives up: posts numbered events and repeats each until it gets its 202, as platforms do.

import type { Workspace } from "./workspace.ts";

export interface AcceptedPost {
  readonly number: number;
  readonly campaignId: string;
  readonly messageId: string;
}

export interface EventSource {
  /** Events that got their 202. */
  readonly accepted: AcceptedPost[];
  /** Answers that no caller should ever see: anything but 202 and a retryable 503. */
  readonly strange: string[];
  /** Resolves once every event that was begun has its 202. */
  stop(): Promise<void>;
}

export interface EventSourceOptions {
  readonly workspace: Workspace;
  readonly campaigns: readonly string[];
  readonly key: string;
  readonly concurrency: number;
  /** Stops by itself after so many events. Default: never. */
  readonly eventsMax?: number;
}

const RETRY_MS = 20;

export function startEventSource(options: EventSourceOptions): EventSource {
  const accepted: AcceptedPost[] = [];
  const strange: string[] = [];
  const state = { next: 0, isStopping: false };

  const worker = async (): Promise<void> => {
    while (!state.isStopping && state.next < (options.eventsMax ?? Number.MAX_SAFE_INTEGER)) {
      const number = state.next++;
      const campaignId = options.campaigns[number % options.campaigns.length] ?? "";
      const messageId = await postUntilAccepted(options, campaignId, number, strange);
      accepted.push({ number, campaignId, messageId });
    }
  };
  const workers = Promise.all(Array.from({ length: options.concurrency }, worker));
  return {
    accepted,
    strange,
    stop: async () => {
      state.isStopping = true;
      await workers;
    },
  };
}

export function eventBody(number: number): string {
  const phone = `+1415555${String(1000 + (number % 9000))}`;
  return JSON.stringify({ phone, first_name: "Ana", order: `#${number}` });
}

async function postUntilAccepted(
  { workspace, key }: EventSourceOptions,
  campaignId: string,
  number: number,
  strange: string[],
): Promise<string> {
  const headers = { "x-api-key": key, "content-type": "application/json", "x-delivery-id": `delivery-${number}` };
  for (;;) {
    const url = `${workspace.url}/api/campaigns/${campaignId}/trigger`;
    const answer = await fetch(url, { method: "POST", headers, body: eventBody(number) }).catch(() => null);
    const text = await answer?.text().catch(() => null);
    if (answer?.status === 202 && text != null) return (JSON.parse(text) as { messageId: string }).messageId;
    if (answer != null && answer.status !== 202 && answer.status !== 503) strange.push(`${answer.status} ${text}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
