// One connection to NATS: the main thread has one, each actor thread another. nats.js gives up after ten attempts and
// notices a silent server after four minutes; here it never gives up once it was connected, notices within seconds, and
// says so. What was in flight when a connection broke is *not* failed by nats.js: whoever waits for an answer must
// listen to onChange, or set a short timeout.

import { readFile } from "node:fs/promises";

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { connect, credsAuthenticator, errors, nkeyAuthenticator } from "@nats-io/transport-node";
import type { Authenticator, NatsConnection, NodeConnectionOptions, Status } from "@nats-io/transport-node";

import { type Clock, passed } from "./clock.ts";
import type { StreamConfig } from "./config.ts";
import { EngineError, messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

export interface NatsLink {
  /** StreamConfig.name: what every subject, stream and bucket begins with. */
  readonly prefix: string;
  readonly replicas: number;
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  isConnected(): boolean;
  /** Told of each loss and each return of the connection, and of its end; answers the un-subscription. */
  onChange(call: (isConnected: boolean) => void): () => void;
  /** Sends what is buffered, then closes. Safe twice; takes at most DRAIN_MS_MAX, also when the server is gone. */
  close(): Promise<void>;
}

export interface NatsLinkOptions {
  readonly config: StreamConfig;
  /** Shown by nats-server: whose connection this is. */
  readonly name: string;
  readonly log: Log;
  readonly clock: Clock;
  /** How long to wait for the first server that answers; 30 s. */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 30_000;
/** One server that takes the connection and then says nothing must not use up the whole wait. */
const DIAL_TIMEOUT_MS = 5000;
/** A silent server is noticed after two unanswered pings: 4 to 6 s. A partition is taken over after about 10 s. */
const PING_INTERVAL_MS = 2000;
const PINGS_UNANSWERED_MAX = 2;
const RECONNECT_WAIT_MS = 250;
/** Spreads the nodes of a cluster that lost the same server. */
const RECONNECT_JITTER_MS = 250;
const FIRST_PAUSE_MS = 200;
const FIRST_PAUSE_MS_MAX = 2000;
const WAITING_LOGGED_EVERY_MS = 5000;
const DRAIN_MS_MAX = 2000;
/** For calls of JetStream's management; publishing has a timeout of its own. */
const API_TIMEOUT_MS = 5000;

/**
 * Connects, retrying until a server answers.
 *
 * @throws EngineError ERR_NATS_CONNECT when none answers within `connectTimeoutMs`; ERR_NATS_REFUSED, at once, when one
 *   refuses the credentials, its certificate is not trusted, or a file of the configuration cannot be read.
 */
export async function connectNats(options: NatsLinkOptions): Promise<NatsLink> {
  const { config, log, clock } = options;
  const connection = await firstConnection(options);
  log.info("nats.connected", {
    server: connection.getServer(),
    version: connection.info?.version,
    encrypted: connection.info?.tls_required === true || wantsTls(config),
  });
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: API_TIMEOUT_MS });
  return linked({ connection, manager, config, log, clock });
}

async function firstConnection(options: NatsLinkOptions): Promise<NatsConnection> {
  const { config, log, clock, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const settings = await connectionSettings(options);
  const startedAtMs = clock.monotonicMs();
  const endMs = startedAtMs + connectTimeoutMs;
  let loggedAtMs = -Infinity;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, FIRST_PAUSE_MS_MAX)) {
    const tried = await tryConnect({ settings, clock, timeoutMs: Math.max(1, endMs - clock.monotonicMs()) });
    if (tried.kind === "connected") return tried.connection;
    const { reason } = tried;
    if (tried.kind === "refused") {
      throw new EngineError("ERR_NATS_REFUSED", `${config.servers.join(", ")}: ${reason}`, { cause: tried.cause });
    }
    const nowMs = clock.monotonicMs();
    if (nowMs + pauseMs >= endMs) {
      const message = `no NATS server answered within ${connectTimeoutMs} ms at ${config.servers.join(", ")}: ${reason}`;
      throw new EngineError("ERR_NATS_CONNECT", message, { cause: tried.cause });
    }
    if (nowMs - loggedAtMs >= WAITING_LOGGED_EVERY_MS) {
      loggedAtMs = nowMs;
      log.warn("nats.waiting", { servers: config.servers, reason, waitedMs: Math.round(nowMs - startedAtMs) });
    }
    await passed(clock, pauseMs);
  }
}

type Tried =
  | { readonly kind: "connected"; readonly connection: NatsConnection }
  | { readonly kind: "refused" | "unreachable"; readonly reason: string; readonly cause: unknown };

async function tryConnect(given: {
  readonly settings: NodeConnectionOptions;
  readonly clock: Clock;
  readonly timeoutMs: number;
}): Promise<Tried> {
  const { settings, clock, timeoutMs } = given;
  const connecting = connect(settings);
  const tooLate = timeout(clock, timeoutMs);
  try {
    const connection = await Promise.race([connecting, tooLate.happened]);
    if (connection !== null) return { kind: "connected", connection };
    // It cannot be called off: when it succeeds after all, nobody wants it any more.
    connecting.then((late) => late.close()).catch(() => undefined);
    return { kind: "unreachable", reason: SILENCE, cause: undefined };
  } catch (error) {
    return { kind: isRefusal(error) ? "refused" : "unreachable", reason: reasonOf(error), cause: error };
  } finally {
    tooLate.cancel();
  }
}

/** What no retry heals: the server does not want us, or we do not trust it. */
function isRefusal(error: unknown): boolean {
  if (error instanceof errors.AuthorizationError) return !/timeout/i.test(error.message);
  if (error instanceof errors.UserAuthenticationExpiredError) return true;
  return isTlsFault(error) || (error instanceof Error && isTlsFault(error.cause));
}

/** Codes of OpenSSL's and Node.js's checks of a certificate, and nats.js's sentence when a server has no TLS. */
function isTlsFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return (
    /^(ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO$|CERT_)|CERT|SIGNATURE|ISSUER/.test(code) || /support 'tls'/.test(error.message)
  );
}

/** With TLS 1.3 a server that misses our certificate breaks off after the handshake, which nats.js waits out. */
const SILENCE =
  "it takes the connection and says nothing (is it frozen, or does it ask for a certificate: stream.tls.certFile?)";

function reasonOf(error: unknown): string {
  if (error instanceof errors.TimeoutError) return SILENCE;
  const message = messageOf(error);
  if (message !== "") return message;
  return error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
}

async function connectionSettings({ config, name }: NatsLinkOptions): Promise<NodeConnectionOptions> {
  const { user, password, token } = config;
  const authenticator = await signer(config);
  return {
    servers: [...config.servers],
    name,
    timeout: DIAL_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_UNANSWERED_MAX,
    // For ever: what was accepted is safe in this node's outbox, and a server that comes back is used at once.
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    // The first connection is waited for by firstConnection, which can end and can tell why.
    waitOnFirstConnect: false,
    // A server whose users are being changed refuses for a moment; that must not close a running engine's connection.
    ignoreAuthErrorAbort: true,
    // Else every request takes two stack traces.
    noAsyncTraces: true,
    ...(user === undefined ? {} : { user, pass: password ?? "" }),
    ...(token === undefined ? {} : { token }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(wantsTls(config) ? { tls: await tlsSettings(config) } : {}),
  };
}

/** Whatever signs the server's challenge. Tried once: nats.js would close the connection without saying why. */
async function signer({ nkeySeed, credentialsFile }: StreamConfig): Promise<Authenticator | undefined> {
  if (nkeySeed === undefined && credentialsFile === undefined) return undefined;
  const authenticator =
    credentialsFile === undefined
      ? nkeyAuthenticator(new TextEncoder().encode(nkeySeed))
      : credsAuthenticator(await readSetting("credentialsFile", credentialsFile));
  try {
    authenticator("challenge");
  } catch (error) {
    const setting = credentialsFile === undefined ? "nkeySeed" : `credentialsFile ${credentialsFile}`;
    const message = `stream.${setting} holds no usable key: ${messageOf(error)}`;
    throw new EngineError("ERR_NATS_REFUSED", message, { cause: error });
  }
  return authenticator;
}

function wantsTls({ servers, tls }: StreamConfig): boolean {
  return tls !== undefined || servers.some((server) => server.startsWith("tls://"));
}

/** Read here once: nats.js would report a missing file only as a failed connection, over and over. */
async function tlsSettings({ tls = {} }: StreamConfig): Promise<{ ca?: string; cert?: string; key?: string }> {
  const { caFile, certFile, keyFile } = tls;
  const decoder = new TextDecoder();
  return {
    ...(caFile === undefined ? {} : { ca: decoder.decode(await readSetting("tls.caFile", caFile)) }),
    ...(certFile === undefined ? {} : { cert: decoder.decode(await readSetting("tls.certFile", certFile)) }),
    ...(keyFile === undefined ? {} : { key: decoder.decode(await readSetting("tls.keyFile", keyFile)) }),
  };
}

async function readSetting(setting: string, file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    const message = `stream.${setting}: ${file} cannot be read: ${messageOf(error)}`;
    throw new EngineError("ERR_NATS_REFUSED", message, { cause: error });
  }
}

interface Linked {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly config: StreamConfig;
  readonly log: Log;
  readonly clock: Clock;
}

function linked({ connection, manager, config, log, clock }: Linked): NatsLink {
  const listeners = new Set<(isConnected: boolean) => void>();
  const state = { isConnected: true, lostAtMs: 0 };
  let closing: Promise<void> | null = null;

  const tell = (isConnected: boolean): void => {
    state.isConnected = isConnected;
    for (const call of listeners) call(isConnected);
  };
  const lose = (why: string, server: string): void => {
    if (!state.isConnected || closing !== null) return;
    state.lostAtMs = clock.monotonicMs();
    log.warn("nats.disconnected", { server, why });
    tell(false);
  };
  const onStatus = (status: Status): void => {
    switch (status.type) {
      case "staleConnection":
        return lose("pings stayed unanswered", connection.getServer());
      case "disconnect":
        return lose("the connection broke", status.server);
      case "reconnect":
        if (state.isConnected) return;
        log.info("nats.reconnected", {
          server: status.server,
          downMs: Math.round(clock.monotonicMs() - state.lostAtMs),
        });
        return tell(true);
      case "error":
        return log.warn("nats.error", { message: status.error.message });
      case "ldm":
        return log.warn("nats.leaving", { server: status.server, why: "the server announced its shutdown" });
      case "close":
      case "forceReconnect":
      case "ping":
      case "reconnecting":
      case "slowConsumer":
      case "update":
    }
  };
  const watched = watch(connection, onStatus);
  const onClosed = (error: unknown): void => {
    // Never the case, as maxReconnectAttempts is -1; if it is, silence would look like a very long outage.
    if (closing === null) log.error("nats.closed", { why: error === undefined ? "unknown" : messageOf(error) });
    tell(false);
  };
  void connection.closed().then(onClosed);

  return {
    prefix: config.name,
    replicas: config.replicas,
    connection,
    jetstream: jetstream(connection),
    manager,
    isConnected: () => state.isConnected,
    onChange: (call) => {
      listeners.add(call);
      return () => void listeners.delete(call);
    },
    close: () => {
      closing ??= closed({ connection, isConnected: state.isConnected, clock }).then(() => watched);
      return closing;
    },
  };
}

async function watch(connection: NatsConnection, onStatus: (status: Status) => void): Promise<void> {
  for await (const status of connection.status()) onStatus(status);
}

async function closed(given: {
  readonly connection: NatsConnection;
  readonly isConnected: boolean;
  readonly clock: Clock;
}): Promise<void> {
  const { connection, isConnected, clock } = given;
  // A drain waits for a pong, which a stopped server never sends; a connection that breaks meanwhile rejects it.
  if (isConnected) await bounded(clock, connection.drain());
  await bounded(clock, connection.close());
}

async function bounded(clock: Clock, work: Promise<void>): Promise<void> {
  const tooLate = timeout(clock, DRAIN_MS_MAX);
  await Promise.race([work.catch(() => undefined), tooLate.happened]);
  tooLate.cancel();
}

function timeout(clock: Clock, delayMs: number): { readonly happened: Promise<null>; readonly cancel: () => void } {
  let resolve: (value: null) => void;
  const happened = new Promise<null>((settle) => {
    resolve = settle;
  });
  return { happened, cancel: clock.after(delayMs, () => resolve(null)) };
}
