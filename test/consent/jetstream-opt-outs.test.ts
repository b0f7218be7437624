import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { openJetStreamOptOuts } from "../../engine/consent/jetstream-opt-outs.ts";
import { openOptOutsReader } from "../../engine/consent/lmdb-opt-outs-reader.ts";
import type { OptOutStore } from "../../engine/consent/opt-out-store.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { withoutNats } from "../support/nats-server.ts";
import { openSite, recordedLog, type Site } from "../support/shared-map-nodes.ts";
import { until } from "../support/until.ts";
import { NOW_MS, optOutOf, sceneOf, signalOf } from "./signals.ts";

const SKIP = { skip: withoutNats };
const SOON_MS = 2_000;
const PHONE = "+14155552671";

interface Nodes {
  readonly site: Site;
  /** A node of this name: the first time new, then with what it had. */
  open(name: string): Promise<OptOutStore>;
  close(store: OptOutStore): Promise<void>;
}

async function openNodes(context: TestContext): Promise<Nodes> {
  const opened = new Set<OptOutStore>();
  const close = async (store: OptOutStore): Promise<void> => {
    if (opened.delete(store)) await store.close();
  };
  // First, so that no store is left when the server stops.
  context.after(() => Promise.all([...opened].map(close)));
  const site = await openSite(context);
  const open = async (name: string): Promise<OptOutStore> => {
    const link = await site.link();
    const shared = { link, nodeId: name, clock: systemClock, log: recordedLog(), timing: { writeMs: 500 } };
    const store = await openJetStreamOptOuts({ ...shared, path: join(site.folder, name) });
    opened.add(store);
    return store;
  };
  return { site, open, close };
}

test("a STOP that one node heard is in the table that another node's threads read", SKIP, async (context) => {
  const { site, open } = await openNodes(context);
  const [a, b] = [await open("a"), await open("b")];
  const reader = openOptOutsReader({ path: join(site.folder, "b") });
  assert.equal(reader.find(PHONE, 1), undefined);
  await sceneOf(a).book.hear([signalOf()], []);
  let nowMs = 2;
  await until("the other node's threads see it", () => reader.find(PHONE, nowMs++)?.isOptedOut === true, SOON_MS);
  await until("the other node sees it as well", () => b.get("14155552671") !== undefined, SOON_MS);
  assert.equal(await sceneOf(b).book.remove(PHONE), true);
  await until("the first node knows that it was taken back", () => a.get("14155552671")?.isOptedOut === false, SOON_MS);
  assert.deepEqual(a.page({ after: null, limit: 10 }), { optOuts: [], next: null });
  await reader.close();
});

test("of what nodes hear at the same moment the latest wish stands, whoever wrote last", SKIP, async (context) => {
  const { open } = await openNodes(context);
  const stores = [await open("a"), await open("b"), await open("c")];
  for (let round = 0; round < 20; round++) {
    const waId = String(14_155_550_000 + round);
    const [stopMs, resumeMs] = round % 2 === 0 ? [2, 1] : [1, 2];
    await Promise.all(
      stores.map((store, index) => {
        const { book } = sceneOf(store);
        const said = [
          signalOf({ waId, atMs: NOW_MS - 10_000 }),
          signalOf({ waId, atMs: NOW_MS + stopMs }),
          signalOf({ waId, atMs: NOW_MS + resumeMs, kind: "resume" }),
        ];
        return book.hear(said.slice(index, index + 1), []);
      }),
    );
    const isOptedOut = stopMs > resumeMs;
    const isSettled = (): boolean => stores.every((store) => store.get(waId)?.isOptedOut === isOptedOut);
    await until(`all nodes have the latest of round ${round}`, isSettled, SOON_MS);
  }
});

test("many are kept, and counted once", SKIP, async (context) => {
  const { open } = await openNodes(context);
  const store = await open("a");
  const wishes = new Map(
    Array.from({ length: 5_000 }, (_, index) => {
      const digits = String(49_151_000_000 + index);
      return [digits, optOutOf(`+${digits}`)] as const;
    }),
  );
  assert.equal(await store.keep(wishes), 5_000);
  assert.equal(await store.keep(wishes), 0);
  assert.equal(store.page({ after: null, limit: 10_000 }).optOuts.length, 5_000);
});

test("without the cluster it is told to have failed, and works again with it", SKIP, async (context) => {
  const { site, open } = await openNodes(context);
  const store = await open("a");
  const { book } = sceneOf(store);
  await site.server.kill();
  await assert.rejects(book.hear([signalOf()], []), { code: "ERR_STORE_WRITE" });
  await site.server.start();
  await until("it can be kept", () =>
    book.hear([signalOf()], []).then(
      () => true,
      () => false,
    ),
  );
  assert.ok(book.find(PHONE));
});

test("what the server lost in a power cut is given back by a node that has it", SKIP, async (context) => {
  const { site, open, close } = await openNodes(context);
  const a = await open("a");
  await sceneOf(a).book.hear([signalOf()], []);
  await close(a);
  const link = await site.link();
  await link.manager.streams.delete("KV_volley_opt_outs");
  await open("a");
  const b = await open("b");
  await until("the other node has it", () => b.get("14155552671")?.isOptedOut === true, SOON_MS);
});
