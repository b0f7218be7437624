// What a broken connection is called in the log and in the CSV. Whether the message may have been sent is not decided
// here: the exchange knows, because it saw whether the request was written.

const BEFORE_WRITING: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ENOTFOUND: "its name could not be found",
  EAI_AGAIN: "the name look-up failed for the moment",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "the network is not reachable",
  ENETDOWN: "the network is down",
  ETIMEDOUT: "the connection was not made in time",
  UND_ERR_CONNECT_TIMEOUT: "the connection was not made in time",
  ECONNRESET: "the connection was closed before the message was sent",
  UND_ERR_SOCKET: "the connection was closed before the message was sent",
  EPIPE: "the connection was closed before the message was sent",
  EPROTO: "no secure connection could be made",
  EMFILE: "this machine has no free connection left",
  EADDRNOTAVAIL: "this machine has no free connection left",
  UND_ERR_CLOSED: "Volley is shutting down",
  UND_ERR_DESTROYED: "Volley is shutting down",
};

const AFTER_WRITING: Readonly<Record<string, string>> = {
  ECONNRESET: "the connection broke",
  EPIPE: "the connection broke",
  ETIMEDOUT: "the connection broke",
  UND_ERR_SOCKET: "the connection was closed",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "the answer was cut off",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "the answer was far too long",
  UND_ERR_HEADERS_OVERFLOW: "the answer was far too long",
  UND_ERR_DESTROYED: "Volley shut down",
};

/** TLS libraries name certificate faults in many words. */
const CERTIFICATE_FAULT = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ALTNAME/;

/** A sentence for an error that came before the request was written. */
export function unreachableReason(error: Error): string {
  return `WhatsApp could not be reached: ${faultBeforeWriting(error)}.`;
}

/** A sentence for an error that came after the request was, or may have been, written. */
export function lostReason(error: Error): string {
  const code = codeOf(error);
  // undici gives the errors of its HTTP parser no code.
  const isParserError = error.name === "HTTPParserError";
  const fault = AFTER_WRITING[code] ?? (isParserError ? "the answer could not be read" : namedFault(code));
  return `No answer came from WhatsApp after the message was sent: ${fault}. It may or may not have arrived.`;
}

function faultBeforeWriting(error: Error): string {
  const code = codeOf(error);
  const known = BEFORE_WRITING[code];
  if (known !== undefined) return known;
  if (CERTIFICATE_FAULT.test(code)) return `its certificate was not accepted (${code})`;
  return code.startsWith("ERR_SSL_") ? "no secure connection could be made" : namedFault(code);
}

function namedFault(code: string): string {
  return code === "" ? "the connection failed" : `the connection failed (${code})`;
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : "";
}
