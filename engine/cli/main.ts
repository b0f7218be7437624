// The command `volley`. Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong.
//
// Every command is a table entry; those that talk to an engine use the operators' API and nothing else. `start`,
// `demo` and `simulator` compose one, and load its parts only then: `volley key list` must not wait for them.

import { ApiRefusal } from "./api-client.ts";
import { campaignCommands } from "./campaign-commands.ts";
import { helpText, parseLine, usageError, type Command } from "./command.ts";
import { configCommands } from "./config-commands.ts";
import { demoCommand } from "./demo-command.ts";
import { doctorCommand } from "./doctor-command.ts";
import { exportCommand } from "./export-command.ts";
import { keyCommands } from "./key-commands.ts";
import { optOutCommands } from "./opt-out-commands.ts";
import { replayCommand } from "./replay-command.ts";
import { simulatorCommand } from "./simulator-command.ts";
import { startCommand } from "./start-command.ts";
import { systemTerminal, type Terminal } from "./stdout-terminal.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import { nearestKey } from "../runtime/nearest-key.ts";

const COMMANDS: readonly Command[] = [
  startCommand,
  demoCommand,
  simulatorCommand,
  ...campaignCommands,
  ...keyCommands,
  ...optOutCommands,
  exportCommand,
  replayCommand,
  ...configCommands,
  doctorCommand,
];

async function runLine(words: readonly string[], terminal: Terminal): Promise<number> {
  const [first = "--help", second = ""] = words;
  if (first === "--help" || first === "-h" || first === "help") {
    terminal.print(overview(COMMANDS));
    return words.length === 0 ? 2 : 0;
  }
  const command = COMMANDS.find(({ name }) => name === first || name === `${first} ${second}`);
  if (command === undefined) return unknownCommand(words, terminal);
  const rest = words.slice(command.name.split(" ").length);
  const line = parseLine(command, rest);
  if (line.kind === "help") {
    terminal.print(helpText(command));
    return 0;
  }
  return command.run({ ...line, terminal, environment: process.env });
}

function unknownCommand(words: readonly string[], terminal: Terminal): number {
  const [first = "", second] = words;
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length > 0 && (second === undefined || second.startsWith("-"))) {
    terminal.print(overview(group));
    return second === "--help" ? 0 : 2;
  }
  const tried = group.length > 0 ? `${first} ${second}` : first;
  const nearest = nearestKey(
    tried,
    [...new Set(COMMANDS.map(({ name }) => (group.length > 0 ? name : name.split(" ")[0])))].filter(
      (name) => name !== undefined,
    ),
  );
  const advice = nearest === null ? "see volley --help" : `did you mean volley ${nearest}?`;
  throw usageError(`There is no command ${JSON.stringify(tried)}: ${advice}`);
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Usage: volley <command> [options]",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "Every command explains itself with --help, for example: volley export --help",
  ].join("\n");
}

function report(error: unknown, terminal: Terminal): number {
  terminal.say(`volley: ${messageOf(error)}`);
  if (error instanceof ApiRefusal) for (const fault of error.faults) terminal.say(`  ${fault}`);
  // A fault of our own: its place is what a bug report needs.
  if (!(error instanceof EngineError) && error instanceof Error && error.stack !== undefined) terminal.say(error.stack);
  return error instanceof EngineError && error.code === "ERR_CLI_USAGE" ? 2 : 1;
}

// `volley export … | head`: a reader that has enough is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  process.exitCode = await runLine(process.argv.slice(2), systemTerminal);
} catch (error) {
  process.exitCode = report(error, systemTerminal);
}
