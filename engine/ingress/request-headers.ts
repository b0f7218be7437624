// Copies the headers of one request and refuses those that two HTTP parsers may read differently: the raw material of
// request smuggling. The Node.js 20 binary takes the first of two Content-Lengths and any Transfer-Encoding for
// chunked, so this guard is the only one there (RFC 9112 §6.1, §6.3).

/** Hands each header, name in lower case, to the call. */
export type HeaderLoop = (call: (name: string, value: string) => void) => void;

/**
 * @returns null when the connection must be closed without an answer: more than one Content-Length or Host, an
 * empty or impossible Content-Length, one beside a Transfer-Encoding, or any Transfer-Encoding but exactly `chunked`.
 */
export function readHeaders(forEach: HeaderLoop): ReadonlyMap<string, string> | null {
  const headers = new Map<string, string>();
  let isSuspicious = false;
  forEach((name, value) => {
    const earlier = headers.get(name);
    if (earlier === undefined) {
      headers.set(name, value);
      return;
    }
    if (name === "content-length" || name === "host" || name === "transfer-encoding") isSuspicious = true;
    // RFC 9110 §5.3: repeated fields are one list. So a doubled key or signature matches nothing.
    headers.set(name, `${earlier}, ${value}`);
  });
  return isSuspicious || !hasPlainFraming(headers) ? null : headers;
}

function hasPlainFraming(headers: ReadonlyMap<string, string>): boolean {
  const contentLength = headers.get("content-length");
  const transferEncoding = headers.get("transfer-encoding");
  if (transferEncoding === undefined) return contentLength === undefined || isLength(contentLength);
  return transferEncoding === "chunked" && contentLength === undefined;
}

/** 1 to 15 digits: RFC 9110 §8.6 without numbers that a double cannot hold. */
function isLength(text: string): boolean {
  if (text.length === 0 || text.length > 15) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 48 || code > 57) return false;
  }
  return true;
}
