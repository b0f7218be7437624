// How Meta sees one business phone number: its throughput, limits, quality and status.

import { ManagementFault, type ManagementCalls } from "./cloud-api-management.ts";
import { type NumberStanding, standingOf } from "./number-standing.ts";

export interface NumberReadOptions {
  readonly calls: Pick<ManagementCalls, "get">;
  readonly wabaId: string;
  readonly phoneNumberId: string;
  readonly accessToken: string;
}

/** The fields that limits depend on, last; versions differ in which of the others they know. */
const FIELDS = [
  "throughput,whatsapp_business_manager_messaging_limit,quality_rating,status,name_status,platform_type,is_on_biz_app",
  "throughput,whatsapp_business_manager_messaging_limit,quality_rating,status",
  "throughput,whatsapp_business_manager_messaging_limit",
  "throughput",
];
/** Invalid parameter: among other things a field that does not exist. */
const INVALID_PARAMETER = 100;

/** @throws ManagementFault when the number cannot be read, whatever is asked of it. */
export async function readNumber(options: NumberReadOptions): Promise<NumberStanding> {
  const { calls, wabaId, phoneNumberId, accessToken } = options;
  let fault: unknown;
  for (const fields of FIELDS) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- fewer fields are asked for only when more were refused
      return standingOf(await calls.get({ wabaId, accessToken, path: phoneNumberId, query: { fields } }));
    } catch (error) {
      fault = error;
      if (!(error instanceof ManagementFault) || error.errorCode !== INVALID_PARAMETER) break;
    }
  }
  throw fault;
}
