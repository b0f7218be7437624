// Columns for reading: left-aligned texts, right-aligned numbers.

export type Cell = string | number | null;

const GAP = "  ";

/** Lines without trailing blanks; an empty list has its header only. */
export function tableLines(header: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const texts = rows.map((row) => row.map(cellText));
  const widths = header.map((title, column) => Math.max(title.length, ...texts.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], isRight: (column: number) => boolean): string =>
    cells
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return isRight(column) ? text.padStart(width) : text.padEnd(width);
      })
      .join(GAP)
      .trimEnd();
  const isNumeric = (column: number): boolean =>
    rows.length > 0 && rows.every((row) => typeof row[column] === "number" || row[column] === null);
  return [line(header, isNumeric), ...texts.map((row) => line(row, isNumeric))];
}

/** `12345` → `12,345`, the same on every machine. */
export function countText(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 1 });
}

function cellText(cell: Cell): string {
  if (cell === null) return "–";
  return typeof cell === "number" ? countText(cell) : cell;
}
