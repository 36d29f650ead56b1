/** A photograph as the model sees it, with a map of numbers over it. */

import { useEffect, useRef } from "preact/hooks";
import { type Rectangle, seenPart } from "./crop";
import type { Seen } from "./reading";

/** Numbers by row and column. */
export interface NumberMap {
  readonly rows: number;
  readonly columns: number;
  readonly values: ArrayLike<number>;
}

interface OverlayProps {
  readonly seen: Seen;
  readonly map?: NumberMap | undefined;
  /** How much of the map is seen, 0 to 1. */
  readonly strength: number;
  /** In the pixels of the model's input. */
  readonly mark?: Rectangle | undefined;
  readonly label: string;
}

/** Twice the input's pixels, so that lines are fine. */
const SHARPNESS = 2;

/** Draws photograph, map and marks. */
export function Overlay({ seen, map, strength, mark, label }: OverlayProps) {
  const ref = useRef<HTMLCanvasElement>(null);
  const { cropWidth, cropHeight } = seen.how;
  useEffect(() => {
    const brush = ref.current?.getContext("2d");
    if (!brush) return;
    brush.setTransform(SHARPNESS, 0, 0, SHARPNESS, 0, 0);
    // Colours of a map are told apart over grey.
    brush.filter = map ? `saturate(${1 - strength})` : "none";
    drawSeen(brush, seen);
    brush.filter = "none";
    if (map) drawMap(brush, map, strength, seen);
    if (mark) drawMark(brush, mark);
  }, [seen, map, strength, mark]);
  return (
    <canvas
      ref={ref}
      class="overlay"
      role="img"
      aria-label={label}
      width={cropWidth * SHARPNESS}
      height={cropHeight * SHARPNESS}
    />
  );
}

/** The part that the model sees, at the size of its input. */
export function drawSeen(brush: CanvasRenderingContext2D, { image, how }: Seen): void {
  const part = seenPart(image.naturalWidth, image.naturalHeight, how);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(
    image,
    part.x,
    part.y,
    part.width,
    part.height,
    0,
    0,
    how.cropWidth,
    how.cropHeight,
  );
}

function drawMap(
  brush: CanvasRenderingContext2D,
  map: NumberMap,
  strength: number,
  { how }: Seen,
): void {
  const small = new OffscreenCanvas(map.columns, map.rows);
  const inner = small.getContext("2d");
  if (inner === null) return;
  inner.putImageData(new ImageData(colours(map), map.columns, map.rows), 0, 0);
  brush.save();
  brush.globalAlpha = strength;
  brush.drawImage(small, 0, 0, how.cropWidth, how.cropHeight);
  brush.restore();
}

/** Share of the values that are paler than the full colour. */
const FULL_COLOUR = 0.995;

const FOR = [255, 122, 24] as const;
const AGAINST = [40, 120, 255] as const;

/** Orange for, blue against, and clear where there is nothing. */
export function colours({ values, rows, columns }: NumberMap): Uint8ClampedArray<ArrayBuffer> {
  const sizes = Float64Array.from(values, Math.abs).sort();
  // A few values far beyond all others would leave the rest unseen.
  const most = sizes[Math.floor(FULL_COLOUR * (sizes.length - 1))] || 1e-12;
  const pixels = new Uint8ClampedArray(4 * rows * columns);
  for (let at = 0; at < rows * columns; at++) {
    const share = Math.max(-1, Math.min(1, (values[at] ?? 0) / most));
    pixels.set(share > 0 ? FOR : AGAINST, 4 * at);
    pixels[4 * at + 3] = 255 * Math.abs(share) ** 0.8;
  }
  return pixels;
}

function drawMark(brush: CanvasRenderingContext2D, { x, y, width, height }: Rectangle): void {
  brush.lineWidth = 3;
  brush.strokeStyle = "rgb(0 0 0 / 0.5)";
  brush.strokeRect(x + 1.5, y + 1.5, width - 3, height - 3);
  brush.lineWidth = 1.5;
  brush.strokeStyle = "white";
  brush.strokeRect(x + 1.5, y + 1.5, width - 3, height - 3);
}
