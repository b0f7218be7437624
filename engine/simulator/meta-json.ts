// JSON as Meta writes it in webhooks. Meta escapes beyond JSON's needs, and signs what it escaped: a receiver that parses
// and writes the body anew gets another signature.

/** A JSON string of this text. */
export function quote(text: string): string {
  return escapeLikeMeta(JSON.stringify(text));
}

/** Lower-case `\uXXXX` for everything beyond ASCII, and for `<`, `%`, `@`; `\/` for a slash. */
export function escapeLikeMeta(json: string): string {
  // oxlint-disable-next-line no-control-regex -- DEL and everything beyond ASCII.
  if (!/[/<%@\u007f-\uffff]/.test(json)) return json;
  // oxlint-disable-next-line no-control-regex -- as above.
  return json.replaceAll(/[/<%@\u007f-\uffff]/g, (character) =>
    character === "/" ? String.raw`\/` : String.raw`\u` + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}
