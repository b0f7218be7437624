// From the reading of a clock on some wall to a moment: what `2026-11-23 18:00` is in Europe/Berlin.

const DAY_MS = 86_400_000;

/** Both sides in milliseconds from 1970. */
export type ToMoment = (wallMs: number) => number;

/**
 * A reading that summer time skips is taken as if the clock had not been put forward yet; of one that comes twice the
 * first counts.
 *
 * @param timeZone IANA, one that exists.
 */
export function zonedTime(timeZone: string): ToMoment {
  const aheadOf = compileZone(timeZone);
  return (wallMs) => {
    const before = aheadOf(wallMs - DAY_MS);
    const after = aheadOf(wallMs + DAY_MS);
    const early = wallMs - before;
    if (before === after || aheadOf(early) === before) return early;
    const late = wallMs - after;
    return aheadOf(late) === after ? late : early;
  };
}

/** How far the zone's clocks are ahead of UTC at a moment, in milliseconds. */
function compileZone(timeZone: string): (atMs: number) => number {
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "gregory",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (atMs) => {
    const wall = { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
    for (const { type, value } of clock.formatToParts(atMs)) {
      if (isPart(type, wall)) wall[type] = Number(value);
    }
    const wallMs = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second);
    return wallMs - Math.floor(atMs / 1000) * 1000;
  };
}

function isPart<Wall extends object>(type: string, wall: Wall): type is Extract<keyof Wall, string> {
  return Object.hasOwn(wall, type);
}
