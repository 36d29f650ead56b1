/** Errors of calls, in the server's own words. */

import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";

/** Why a call failed, ready to be shown. */
export interface Failure {
  /** `LAYER_NOT_FOUND`; empty where the server did not answer at all. */
  readonly reason: string;
  readonly message: string;
  readonly fields: readonly { readonly field: string; readonly description: string }[];
  /** Names that exist and are like the one asked for. */
  readonly nearest: readonly string[];
  /** Whether trying the same again can help. */
  readonly transient: boolean;
}

const TRANSIENT = new Set([Code.Unavailable, Code.ResourceExhausted, Code.DeadlineExceeded]);

/** What to tell of an error. */
export function failureOf(error: unknown): Failure {
  const known = ConnectError.from(error);
  const [info] = known.findDetails(ErrorInfoSchema);
  const [bad] = known.findDetails(BadRequestSchema);
  if (info === undefined && isNetwork(error)) {
    return {
      reason: "",
      message: "The server does not answer. Is `hooke serve` still running?",
      fields: [],
      nearest: [],
      transient: true,
    };
  }
  return {
    reason: info?.reason ?? Code[known.code].toUpperCase(),
    message: known.rawMessage,
    fields: bad?.fieldViolations ?? [],
    nearest: info?.metadata.nearest?.split(",").filter(Boolean) ?? [],
    transient: TRANSIENT.has(known.code),
  };
}

/** Whether it is the client itself that left. */
export function isCancelled(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Canceled;
}

/** `fetch` rejects with a TypeError when nothing answers; Connect keeps it as the cause. */
function isNetwork(error: unknown): boolean {
  const cause = error instanceof ConnectError ? error.cause : error;
  return cause instanceof TypeError;
}
