/** Tensors as maps. */

import type { Layer } from "../gen/hooke/v1/model_service_pb";
import type { NamedTensor } from "../work/tensors";
import type { NumberMap } from "./overlay";

/** The sum over all axes but the last two, which are rows and columns; undefined without these. */
export function summedMap(tensor: NamedTensor | undefined): NumberMap | undefined {
  if (tensor === undefined || tensor.shape.length < 3) return undefined;
  const [rows, columns] = tensor.shape.slice(-2);
  if (!rows || !columns || rows * columns === 1) return undefined;
  const values = new Float64Array(rows * columns);
  for (let at = 0; at < tensor.values.length; at++) {
    const place = at % values.length;
    values[place] = (values[place] ?? 0) + (tensor.values[at] ?? 0);
  }
  return { rows, columns, values };
}

/** The first tensor that counts a layer's places along its last axis, as rows and columns of them. */
export function laidOut(
  tensors: readonly NamedTensor[],
  layers: readonly Layer[],
): NamedTensor | undefined {
  const found = tensors.find(({ axes }) => axes.at(-1) === "position");
  const shape = layers.find(({ name }) => name === found?.layer)?.output?.shape ?? [];
  const extents = shape.slice(2).map(({ size }) => Number(size ?? 0));
  if (found === undefined || extents.length !== 2) return undefined;
  return { ...found, shape: [...found.shape.slice(0, -1), ...extents] };
}
