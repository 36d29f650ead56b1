/** Which part of a photograph a model sees, and where a layer's positions lie in it. */

import type { Layer, Preprocessing } from "../gen/hooke/v1/model_service_pb";

/** A rectangle in the pixels of some picture. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The part of a photograph of that size that becomes the input: a resize and a centre crop. */
export function seenPart(width: number, height: number, how: Preprocessing): Rectangle {
  if (how.resizeShorterSide === undefined) return { x: 0, y: 0, width, height };
  const scale = how.resizeShorterSide / Math.min(width, height);
  const seen = {
    width: Math.min(width, how.cropWidth / scale),
    height: Math.min(height, how.cropHeight / scale),
  };
  return { x: (width - seen.width) / 2, y: (height - seen.height) / 2, ...seen };
}

/** What a position of a layer sees, in the input's pixels, clipped at its border. */
export function fieldOf(
  layer: Layer,
  position: readonly number[],
  input: { width: number; height: number },
): Rectangle | undefined {
  const [rows, columns] = layer.receptiveFields;
  const [row, column] = position;
  if (!rows || !columns || row === undefined || column === undefined) return undefined;
  const [top, bottom] = extent(rows, row, input.height);
  const [left, right] = extent(columns, column, input.width);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function extent(
  field: { size: number; jump: number; start: number },
  index: number,
  edge: number,
): [number, number] {
  const centre = field.start + field.jump * index;
  const half = field.size / 2;
  return [Math.max(0, centre - half), Math.min(edge, centre + half)];
}
