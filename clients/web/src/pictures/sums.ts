/** Tensors as maps. */

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
