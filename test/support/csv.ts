// Reads a CSV as RFC 4180 has it: an independent reader for what the engine writes.

export function parseCsv(text: string): Record<string, string>[] {
  const [header = [], ...rows] = records(text);
  return rows.map((row) => Object.fromEntries(header.map((name, index) => [name, row[index] ?? ""])));
}

function records(text: string): string[][] {
  const all: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (isQuoted) {
      if (character !== '"') cell += character;
      else if (text.charAt(at + 1) === '"') cell += text.charAt(++at);
      else isQuoted = false;
    } else if (character === '"') {
      isQuoted = true;
    } else if (character === "," || character === "\r") {
      row.push(cell);
      cell = "";
    } else if (character === "\n") {
      all.push(row);
      row = [];
    } else {
      cell += character;
    }
  }
  return all;
}
