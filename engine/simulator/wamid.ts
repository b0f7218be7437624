// Message ids in the form that WhatsApp gives them: base64 of a small structure around the recipient's number.

const HEAD = [0x1c, 0x18];
const MIDDLE = [0x15, 0x02, 0x00, 0x11, 0x18, 0x12];
const COUNTER_DIGITS = 10;

/**
 * @param startedAtMs when this simulator started, epoch milliseconds: ids of two runs never meet.
 * @returns a function that makes one more id for a recipient (digits of the number).
 */
export function createWamids(startedAtMs: number): (waId: string) => string {
  const run = Math.floor(startedAtMs / 1000)
    .toString(16)
    .slice(-8)
    .padStart(8, "0");
  const head = Buffer.from(HEAD).toString("latin1");
  const middle = Buffer.from(MIDDLE).toString("latin1");
  let counter = 0;
  return (waId) => {
    counter++;
    const unique = (run + counter.toString(16).padStart(COUNTER_DIGITS, "0")).toUpperCase();
    const structure = `${head}${String.fromCharCode(waId.length)}${waId}${middle}${unique}\0`;
    return `wamid.${Buffer.from(structure, "latin1").toString("base64")}`;
  };
}
