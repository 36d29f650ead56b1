/**
 * Edits as they stand in the address, written as the command line writes them:
 * `KIND[=VALUE]:LAYER[#UNITS]`, such as `ablate:blocks.4.2#7` or `scale=0.5:conv_stem#1,2`.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { AblationValue, type EditSchema } from "../gen/hooke/v1/edit_pb";
import { resourceName } from "../server/names";

/** Kinds, with what a reader is told of each and whether it takes a value. */
export const KINDS = [
  { kind: "ablate", title: "silence", value: "" },
  { kind: "ablate=mean", title: "hold at its mean", value: "" },
  { kind: "scale", title: "multiply by", value: "2" },
  { kind: "clamp", title: "keep within", value: "0..6" },
] as const;

/** A change to a layer, or to some units of it. */
export interface Edit {
  /** `ablate`, `ablate=mean`, `scale`, `clamp`. */
  readonly kind: string;
  /** Of a scaling the factor, of a clamping `low..high`. */
  readonly value: string;
  readonly layer: string;
  readonly units: readonly number[];
}

const NOTATION = /^(ablate=mean|ablate|scale|clamp)(?:=([^:]*))?:(.+?)(?:#([\d,]+))?$/;

/** Read one; undefined where it is none. */
export function parse(text: string): Edit | undefined {
  const [, kind, value = "", layer, units = ""] = NOTATION.exec(text) ?? [];
  if (kind === undefined || layer === undefined) return undefined;
  return { kind, value, layer, units: units.split(",").filter(Boolean).map(Number) };
}

/** The edits of an address. */
export const editsOf = (query: URLSearchParams): Edit[] =>
  query
    .getAll("edit")
    .map(parse)
    .filter((each) => each !== undefined);

/** Write one. */
export function format({ kind, value, layer, units }: Edit): string {
  const which = units.length > 0 ? `#${units.join(",")}` : "";
  return `${kind}${value === "" ? "" : `=${value}`}:${layer}${which}`;
}

/** For a reader: `silence unit 7 of blocks.4.2`. */
export function describe({ kind, value, layer, units }: Edit): string {
  const title = KINDS.find((each) => each.kind === kind)?.title ?? kind;
  const which = units.length === 0 ? "" : units.length === 1 ? "unit " : "units ";
  const place = which ? `${which}${units.join(", ")} of ${layer}` : layer;
  return `${title}${value ? ` ${value}` : ""}: ${place}`;
}

/** As the contract has it. */
export function message(model: string, edit: Edit): MessageInitShape<typeof EditSchema> {
  const place = {
    location: { layer: resourceName({ model, layer: edit.layer }) },
    units: [...edit.units],
  };
  const [low = "", high = ""] = edit.value.split("..");
  switch (edit.kind) {
    case "scale":
      return { ...place, change: { case: "scaling", value: { factor: Number(edit.value) } } };
    case "clamp":
      return {
        ...place,
        change: {
          case: "clamping",
          value: { ...(low && { low: Number(low) }), ...(high && { high: Number(high) }) },
        },
      };
    default: {
      const value = edit.kind === "ablate=mean" ? AblationValue.MEAN : AblationValue.ZERO;
      return { ...place, change: { case: "ablation", value: { value } } };
    }
  }
}
