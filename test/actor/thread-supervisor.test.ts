// Real threads; only the pauses between restarts are simulated.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { superviseThread } from "../../engine/actor/thread-supervisor.ts";
import type { SuperviseOptions, Supervisor } from "../../engine/actor/thread-supervisor.ts";
import type { EngineError } from "../../engine/runtime/errors.ts";
import type { Clock } from "../../engine/runtime/clock.ts";
import type { Log } from "../../engine/runtime/log.ts";

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} };

const BODY = `
  const { parentPort } = require("node:worker_threads");
  parentPort.on("message", (message) => {
    if (message === "throw") throw new Error("a planted fault");
    if (message === "exit") process.exit(3);
    if (message === "end") parentPort.close();
    else parentPort.postMessage("echo " + message);
  });
`;

/** Pauses last as long as it takes to note them. */
function hastyClock(pausesMs: number[]): Clock {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(delayMs, call) {
      pausesMs.push(delayMs);
      nowMs += delayMs;
      const timer = setImmediate(call);
      return () => clearImmediate(timer);
    },
  };
}

function cannotStart(): never {
  throw new Error("no such file");
}

/** A clock on which no time passes. */
const FROZEN: Clock = { nowMs: () => 0, monotonicMs: () => 0, after: () => () => {} };

interface Watched {
  readonly supervisor: Supervisor;
  readonly next: () => Promise<string>;
}

function supervise(clock: Clock, more: Partial<SuperviseOptions> = {}): Watched {
  const news: string[] = [];
  const readers: ((news: string) => void)[] = [];
  const tell = (line: string): void => {
    const reader = readers.shift();
    if (reader === undefined) news.push(line);
    else reader(line);
  };
  const supervisor = superviseThread({
    name: "actor-0",
    start: () => new Worker(BODY, { eval: true, stderr: true }),
    onStarted: () => tell("started"),
    onMessage: (message) => tell(String(message)),
    onGivenUp: (error: EngineError) => tell(`${error.code}: ${error.message}`),
    log: SILENT,
    clock,
    ...more,
  });
  return {
    supervisor,
    next: () => {
      const line = news.shift();
      return line === undefined ? new Promise((resolve) => readers.push(resolve)) : Promise.resolve(line);
    },
  };
}

test("messages pass both ways, and a thread that is asked to stop ends", async () => {
  const { supervisor, next } = supervise(FROZEN);
  assert.equal(await next(), "started");
  assert.equal(supervisor.post("hello"), true);
  assert.equal(await next(), "echo hello");
  await Promise.all([
    supervisor.stop({ farewell: "end", graceMs: 1000 }),
    supervisor.stop({ farewell: "end", graceMs: 1000 }),
  ]);
  assert.equal(supervisor.post("hello"), false);
});

for (const fault of ["throw", "exit"]) {
  test(`a thread that crashes (${fault}) is started again and takes messages again`, async () => {
    const { supervisor, next } = supervise(hastyClock([]));
    assert.equal(await next(), "started");
    supervisor.post(fault);
    assert.equal(await next(), "started");
    supervisor.post("hello");
    assert.equal(await next(), "echo hello");
    await supervisor.stop({ farewell: "end", graceMs: 1000 });
  });
}

test("pauses grow, and the sixth crash in a minute is the last", async () => {
  const pausesMs: number[] = [];
  const { supervisor, next } = supervise(hastyClock(pausesMs));
  for (let crashes = 0; crashes < 6; crashes++) {
    assert.equal(await next(), "started");
    supervisor.post("throw");
  }
  assert.match(await next(), /^ERR_ACTOR_CRASHED: thread actor-0 crashed 6 times .* a planted fault$/);
  assert.deepEqual(pausesMs, [100, 200, 400, 800, 1600]);
  assert.equal(supervisor.post("hello"), false);
  await supervisor.stop({ farewell: "end", graceMs: 1000 });
});

test("a thread that cannot even be made counts as crashed", async () => {
  const { next } = supervise(hastyClock([]), { start: cannotStart, restartsMax: 1 });
  assert.match(await next(), /ERR_ACTOR_CRASHED.*no such file/);
});

test("a thread that does not end within its grace is terminated", async () => {
  const { supervisor, next } = supervise(hastyClock([]));
  assert.equal(await next(), "started");
  await supervisor.stop({ farewell: "stay", graceMs: 10 });
  assert.equal(supervisor.post("hello"), false);
});
