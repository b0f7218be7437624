// volley replay: failed messages once more.

import { ENGINE_OPTIONS, JSON_OPTION, type Command, type CommandCall } from "./command.ts";
import { connect } from "./connection.ts";
import { countText } from "./table.ts";

const ERROR_CODE_MAX = 999_999_999;
const PER_SECOND_MAX = 1_000;

export const replayCommand: Command = {
  name: "replay",
  summary: "Queue a campaign's failed messages anew, never one that was delivered",
  positionals: ["<campaign>"],
  options: {
    "error-code": {
      value: "code",
      description: "only those that failed of this WhatsApp error (default any)",
    },
    "max-per-second": {
      value: "n",
      description: "spread them out (default as fast as the sender may)",
    },
    from: {
      value: "time",
      description: "accepted at or after, 2026-11-23 or 2026-11-23T10:00:00Z",
    },
    to: { value: "time", description: "accepted before" },
    ...ENGINE_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ["volley replay order-confirmation --error-code 131000 --max-per-second 10"],
  run: replay,
};

async function replay(call: CommandCall): Promise<number> {
  const { options, terminal } = call;
  const campaign = call.positionals[0] ?? "";
  const errorCode = options.integer("error-code", { min: 0, max: ERROR_CODE_MAX });
  const maxPerSecond = options.integer("max-per-second", { min: 1, max: PER_SECOND_MAX });
  const body = {
    status: "failed",
    errorCode,
    maxPerSecond,
    from: options.text("from"),
    to: options.text("to"),
  };
  const path = `/api/campaigns/${encodeURIComponent(campaign)}/replay`;
  const answer = await (await connect(call)).post<{ readonly requeued: number }>(path, body);
  terminal.print(
    options.has("json") ? JSON.stringify(answer) : `${countText(answer.requeued)} messages of ${campaign} queued anew`,
  );
  return 0;
}
