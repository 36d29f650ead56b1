/** Families of operations, which the page tells apart by colour. */

import { type Layer, LayerKind } from "../gen/hooke/v1/model_service_pb";

export type Family = "input" | "linear" | "norm" | "nonlinear" | "pool" | "block" | "other";

const FAMILIES: readonly [RegExp, Family][] = [
  [/conv|linear|matmul|addmm|bmm|einsum|embedding|attention|gemm/, "linear"],
  [/norm/, "norm"],
  [/relu|gelu|silu|swish|sigmoid|tanh|softmax|act|elu|mish/, "nonlinear"],
  [/pool|resize|interpolate|upsample|mean/, "pool"],
];

/** The family of a layer, by what it computes. */
export function familyOf({ kind, op }: Layer): Family {
  if (kind === LayerKind.INPUT) return "input";
  if (kind === LayerKind.BLOCK) return "block";
  return FAMILIES.find(([pattern]) => pattern.test(op))?.[1] ?? "other";
}
