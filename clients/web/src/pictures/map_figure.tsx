/** A photograph with a map over it, and a slider for how much of the map is seen. */

import { useSignal } from "@preact/signals";
import type { Rectangle } from "./crop";
import { type NumberMap, Overlay } from "./overlay";
import type { Seen } from "./reading";

interface MapFigureProps {
  readonly seen: Seen;
  readonly map: NumberMap | undefined;
  readonly mark?: Rectangle | undefined;
  readonly label: string;
}

/** The figure. */
export function MapFigure({ label, ...drawn }: MapFigureProps) {
  const strength = useSignal(0.8);
  return (
    <figure>
      <Overlay {...drawn} strength={strength.value} label={label} />
      {drawn.map && (
        <label class="slider">
          Photograph
          <input
            type="range"
            min="0"
            max="1"
            step="0.05"
            aria-label="How much of the map is seen"
            value={strength.value}
            onInput={(event) => {
              strength.value = Number(event.currentTarget.value);
            }}
          />
          map
        </label>
      )}
    </figure>
  );
}
