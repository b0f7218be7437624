// Loaded before an engine (`NODE_OPTIONS=--import`), in its main thread and in each worker: gives it a wall clock that is
// wrong by VOLLEY_TEST_CLOCK_OFFSET_MS, and jumps to another error once the process is VOLLEY_TEST_CLOCK_JUMP_AT_MS old.
// The monotonic clock stays what it is, as on a machine whose time is set.

const offsetMs = Number(process.env["VOLLEY_TEST_CLOCK_OFFSET_MS"] ?? 0);
const jumpAtMs = Number(process.env["VOLLEY_TEST_CLOCK_JUMP_AT_MS"] ?? Number.POSITIVE_INFINITY);
const jumpToMs = Number(process.env["VOLLEY_TEST_CLOCK_JUMP_TO_MS"] ?? 0);

const machineNow = Date.now.bind(Date);
const MS_PER_SECOND = 1_000;

Date.now = () => machineNow() + (process.uptime() * MS_PER_SECOND < jumpAtMs ? offsetMs : jumpToMs);
