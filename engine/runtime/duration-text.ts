// Lengths of time as people write them: `90`, `30m`, `-2h`, `1d 12h`.

const SECONDS = /^[+-]?\d+(?:\.\d+)?$/;
const UNITS =
  /^([+-]?)\s*(?=\d)(?:(\d+(?:\.\d+)?)w\s*)?(?:(\d+(?:\.\d+)?)d\s*)?(?:(\d+(?:\.\d+)?)h\s*)?(?:(\d+(?:\.\d+)?)m\s*)?(?:(\d+(?:\.\d+)?)s)?$/;
/** Of week, day, hour, minute and second, as in the pattern. */
const UNIT_SECONDS = [604_800, 86_400, 3600, 60, 1] as const;
/** Longer text is no duration, whatever it says. */
const LENGTH_MAX = 64;

/**
 * A number, or text without units, is seconds; units are w, d, h, m and s, the largest first. A sign is for the whole.
 * @returns milliseconds; undefined when it is no duration.
 */
export function durationMs(written: number | string): number | undefined {
  if (typeof written === "number") return rounded(written);
  const text = written.trim();
  if (text.length > LENGTH_MAX) return undefined;
  if (SECONDS.test(text)) return rounded(Number(text));
  const parts = UNITS.exec(text);
  if (parts === null) return undefined;
  const [sign, ...counts] = parts.slice(1);
  const seconds = UNIT_SECONDS.reduce((sum, unit, index) => sum + unit * Number(counts[index] ?? 0), 0);
  return rounded(sign === "-" ? -seconds : seconds);
}

/** Whole milliseconds, never -0. */
function rounded(seconds: number): number | undefined {
  return Number.isFinite(seconds) ? Math.round(seconds * 1000) || 0 : undefined;
}
