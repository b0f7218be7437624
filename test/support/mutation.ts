// What broken and hostile callers send: bodies and whole requests, bent out of shape by chance.

const CONTACT = { phone: "+15550001111", name: "Ann" };

const BODIES = [
  JSON.stringify({ ...CONTACT, id: 1, nested: { list: [1, { deep: null }], text: 'quote " and \\ slash' } }),
  JSON.stringify([CONTACT, {}, { phone: null }]),
  '{"phone":"+15550001111","id":820982911946154508,"__proto__":{"phone":"x"},"constructor":{"prototype":1}}',
  "phone=%2B15550001111&name=Ann&__proto__=x",
];
const BODY_INSERTS = [
  '"',
  "{",
  "[",
  "}",
  "]",
  ",",
  ":",
  "\\",
  "\\u",
  "\0",
  "é",
  "\ud800",
  "1e999",
  "-0",
  "12345678901234567890",
  "null",
  "[".repeat(200),
  "&",
  "%",
  "%zz",
];

/** A body, often no longer JSON or form, sometimes no longer UTF-8. */
export function mutatedBody(below: (limit: number) => number): Buffer {
  let text = BODIES[below(BODIES.length)] ?? "";
  for (let count = below(5); count > 0; count--) {
    const at = below(text.length + 1);
    if (below(2) === 0) text = text.slice(0, at) + text.slice(at + 1 + below(12));
    else text = text.slice(0, at) + (BODY_INSERTS[below(BODY_INSERTS.length)] ?? "") + text.slice(at);
  }
  const bytes = Buffer.from(text);
  if (below(4) === 0 && bytes.length > 0) bytes[below(bytes.length)] = below(256);
  return bytes;
}

const REQUESTS = [
  'POST /in HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"phone":"+1"}\n',
  "POST /in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\n\r\n",
  "POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 40\r\n\r\nhelloPOST /smuggled HTTP/1.1\r\n\r\n",
  "POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "POST /in HTTP/1.1\r\nHost: a\r\nHost: b\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
];
const REQUEST_INSERTS = [
  "\r\n",
  "\n",
  "\0",
  " ",
  ":",
  "\t",
  "\x80",
  "%",
  "Content-Length: 7\r\n",
  "Host: b\r\n",
  "0\r\n\r\n",
  "A".repeat(5000),
];

/** Of a POST to the path: whole, broken, with smuggled headers, cut short. */
export function mutatedRequest(below: (limit: number) => number, path: string): Buffer {
  let text = REQUESTS[below(REQUESTS.length)] ?? "";
  for (let count = 1 + below(4); count > 0; count--) {
    const at = below(text.length + 1);
    const kind = below(4);
    if (kind === 0) text = text.slice(0, at) + text.slice(at + 1 + below(8));
    else if (kind === 1)
      text = text.slice(0, at) + (REQUEST_INSERTS[below(REQUEST_INSERTS.length)] ?? "") + text.slice(at);
    else if (kind === 2) text = text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1);
    else text = text.slice(0, at);
  }
  return Buffer.from(text.replaceAll("/in", path), "latin1");
}
