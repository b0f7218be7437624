// A TCP server whose every byte and hang-up the test decides, standing in for WhatsApp on its worst day.

import { once } from "node:events";
import { createServer } from "node:net";
import type { Socket } from "node:net";

export interface RawServer {
  readonly url: string;
  readonly port: number;
  /** All that all connections have received so far. */
  received(): string;
  connections(): number;
  close(): Promise<void>;
}

export type OnConnection = (socket: Socket) => void;

export async function startRawServer(onConnection: OnConnection, port = 0): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let received = "";
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A test that hangs up provokes errors on its own side too.
    socket.on("error", () => {});
    socket.on("data", (chunk) => (received += chunk.toString("latin1")));
    onConnection(socket);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const boundPort = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${boundPort}`,
    port: boundPort,
    received: () => received,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A whole answer with its length. */
export function httpAnswer(status: number, body: string, headers: readonly string[] = []): string {
  const head = [`HTTP/1.1 ${status} Whatever`, `content-length: ${Buffer.byteLength(body)}`, ...headers];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** Calls for every whole request (head and body) of a connection, in order. */
export function onRequest(socket: Socket, call: (text: string) => void): void {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    for (;;) {
      const headEnd = text.indexOf("\r\n\r\n");
      const length = /content-length: (\d+)/.exec(text);
      if (headEnd < 0 || length === null) return;
      const end = headEnd + 4 + Number(length[1]);
      if (text.length < end) return;
      const request = text.slice(0, end);
      text = text.slice(end);
      call(request);
    }
  });
}
