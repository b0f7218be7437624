// How the demo's orders arrive: most alone, as a shop's webhooks do, some in arrays, as an import does, and a few a
// second time, as after a lost answer. A repetition must not become a second message.

import { integerBelow, type DemoOrder, type Random } from "./demo-orders.ts";

export interface Delivery {
  /** JSON: one order, or an array of them. */
  readonly body: string;
  /** The same in a repetition: by it the engine must recognise every event. */
  readonly webhookId: string;
}

const ARRAY_SHARE = 0.03;
const ARRAY_LENGTH = { min: 5, max: 25 };
const REPETITION_SHARE = 0.02;

export function* demoDeliveries(orders: Iterable<DemoOrder>, random: Random): Generator<Delivery> {
  let waiting: DemoOrder[] = [];
  let wanted = 1;
  for (const order of orders) {
    waiting.push(order);
    if (waiting.length < wanted) continue;
    yield* delivered(waiting, random);
    waiting = [];
    wanted =
      random() < ARRAY_SHARE ? ARRAY_LENGTH.min + integerBelow(random, ARRAY_LENGTH.max - ARRAY_LENGTH.min + 1) : 1;
  }
  if (waiting.length > 0) yield* delivered(waiting, random);
}

function* delivered(orders: readonly DemoOrder[], random: Random): Generator<Delivery> {
  const [first] = orders;
  if (first === undefined) return;
  const body = orders.length === 1 ? first.json : `[${orders.map(({ json }) => json).join(",")}]`;
  const delivery = { body, webhookId: first.webhookId };
  yield delivery;
  if (random() < REPETITION_SHARE) yield delivery;
}
