/** Pieces of a photograph, each what a position of a layer sees. */

import { useEffect, useRef } from "preact/hooks";
import { decimal } from "../parts/numbers";
import type { Rectangle } from "./crop";
import { drawSeen } from "./overlay";
import type { Peak } from "./peaks";
import type { Seen } from "./reading";

const EDGE = 144;

interface PatchesProps {
  readonly seen: Seen;
  readonly peaks: readonly Peak[];
  /** What each peak sees, in the input's pixels; undefined where that is not known. */
  readonly fields: readonly (Rectangle | undefined)[];
  readonly pointed: number;
  readonly point: (index: number) => void;
}

/** A list; pointing at a piece marks it in the photograph. */
export function Patches({ seen, peaks, fields, pointed, point }: PatchesProps) {
  return (
    <ol class="patches">
      {peaks.map(({ position, value }, index) => (
        <li key={position.join()}>
          <button
            type="button"
            aria-pressed={index === pointed}
            onClick={() => point(index)}
            onMouseEnter={() => point(index)}
            onFocus={() => point(index)}
          >
            <Patch seen={seen} part={fields[index]} />
            <span class="numbers">
              {decimal(value)} <span class="pale">at {position.join(", ")}</span>
            </span>
          </button>
        </li>
      ))}
    </ol>
  );
}

function Patch({ seen, part }: { seen: Seen; part: Rectangle | undefined }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const brush = ref.current?.getContext("2d");
    if (!brush || !part) return;
    const scale = EDGE / Math.min(part.width, part.height);
    const left = part.x + Math.max(0, part.width - part.height) / 2;
    const top = part.y + Math.max(0, part.height - part.width) / 2;
    brush.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
    drawSeen(brush, seen);
  }, [seen, part]);
  return part ? <canvas ref={ref} width={EDGE} height={EDGE} /> : null;
}
