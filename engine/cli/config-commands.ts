// volley config check

import { JSON_OPTION, type Command, type CommandCall } from "./command.ts";
import { CONFIG_FILE } from "./connection.ts";

export const configCommands: readonly Command[] = [
  {
    name: "config check",
    summary: "Check the configuration, the campaigns and the templates beside it",
    positionals: [],
    options: {
      config: { value: "file", description: "the configuration (default config/volley.yaml)" },
      ...JSON_OPTION,
    },
    examples: ["volley config check --config config/volley.yaml"],
    run: checkConfig,
  },
];

async function checkConfig(call: CommandCall): Promise<number> {
  const { options, terminal, environment } = call;
  const { inspectConfig } = await import("./config-inspection.ts");
  const report = inspectConfig(options.text("config") ?? CONFIG_FILE, environment);
  const { file, campaigns, templates, errors, warnings } = report;
  if (options.has("json")) {
    terminal.print(JSON.stringify({ file, campaigns, templates, errors, warnings }));
  } else {
    for (const error of errors) terminal.say(`volley: ${error}`);
    for (const warning of warnings) terminal.say(`note: ${warning}`);
    if (errors.length === 0) terminal.print(`${file} is fine: ${campaigns} campaigns, ${templates} templates`);
  }
  return errors.length === 0 ? 0 : 1;
}
