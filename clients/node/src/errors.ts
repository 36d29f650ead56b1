import { Code, ConnectError } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const DOMAIN = "hooke";

interface Details {
  reason?: string;
  metadata?: Record<string, string>;
  fieldViolations?: Record<string, string>;
  cause?: unknown;
}

/** What a call failed with; `cause` is Connect's own error. */
export class HookeError extends Error {
  override readonly name = "HookeError";
  /** A name of `ErrorReason` without its prefix; empty where the answer is not Hooke's. */
  readonly reason: string;
  /** The changing parts of the message (`nearest`: ids like the one asked for). */
  readonly metadata: Record<string, string>;
  /** What is wrong with which field of the request. */
  readonly fieldViolations: Record<string, string>;

  constructor(
    /** The kind of the failure, as gRPC's specification writes it: `NOT_FOUND`. */
    readonly code: string,
    message: string,
    details: Details = {},
  ) {
    super(message, { cause: details.cause });
    this.reason = details.reason ?? "";
    this.metadata = details.metadata ?? {};
    this.fieldViolations = details.fieldViolations ?? {};
  }

  /** The error that a failed call stands for; a HookeError stands for itself. */
  static from(error: unknown): HookeError {
    if (error instanceof HookeError) return error;
    const cause = ConnectError.from(error);
    const info = cause.findDetails(ErrorInfoSchema).find((each) => each.domain === DOMAIN);
    const violations = cause.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
    return new HookeError(codeName(cause.code), cause.rawMessage, {
      reason: info?.reason ?? "",
      metadata: info?.metadata ?? {},
      fieldViolations: Object.fromEntries(violations.map((each) => [each.field, each.description])),
      cause,
    });
  }
}

/** A stream was cut off, or its bytes are not those that were sent. */
export function lost(message: string): HookeError {
  return new HookeError("DATA_LOSS", message);
}

function codeName(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED"; // the one that Connect spells otherwise
  return Code[code].replace(/(?<!^)[A-Z]/g, "_$&").toUpperCase();
}
