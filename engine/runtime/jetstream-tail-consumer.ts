// The consumers of a tail on the server: how one is made, and how it goes. Nothing depends on what they remember, so they
// live in the memory of one server, also when the stream has replicas: another one costs a request.

import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import type { JetStreamManager } from "@nats-io/jetstream";
import { nanos, nuid } from "@nats-io/transport-node";

/** A consumer that its tail forgot (a crash, no connection at the end) leaves by itself after this. */
const INACTIVE_MS = 5 * 60_000;

export interface TailConsumerOptions {
  readonly stream: string;
  readonly filterSubject?: string;
  /** What the name begins with. */
  readonly name: string;
  readonly startSequence: number;
  readonly unackedMax: number;
  readonly ackWaitMs: number;
}

/** @throws what the server's API throws: no answer in time, no leader, stream not found. */
export async function createTailConsumer(
  manager: JetStreamManager,
  options: TailConsumerOptions,
): Promise<{ readonly name: string; readonly pending: number }> {
  const { stream, filterSubject, unackedMax } = options;
  // A name of its own each time: whatever an older request still does on the server touches another consumer.
  const name = `${options.name}-${nuid.next()}`;
  try {
    const created = await manager.consumers.add(stream, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(options.ackWaitMs),
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: options.startSequence,
      max_ack_pending: unackedMax,
      inactive_threshold: nanos(INACTIVE_MS),
      num_replicas: 1,
      mem_storage: true,
      ...(filterSubject === undefined ? {} : { filter_subject: filterSubject }),
    });
    return { name, pending: created.num_pending };
  } catch (error) {
    // Perhaps only the answer was lost.
    void deleteTailConsumer(manager, { stream, name });
    throw error;
  }
}

/** As well as it goes: what stays behind leaves by itself. */
export async function deleteTailConsumer(
  manager: JetStreamManager,
  consumer: { readonly stream: string; readonly name: string },
): Promise<void> {
  await manager.consumers.delete(consumer.stream, consumer.name).catch(() => undefined);
}
