/** Where a map is largest. */

import type { NumberMap } from "./overlay";

export interface Peak {
  /** Row and column. */
  readonly position: readonly [number, number];
  readonly value: number;
}

/** The largest values, no two of them neighbours. */
export function peaksOf(map: NumberMap, most: number): Peak[] {
  const all = Array.from({ length: map.rows * map.columns }, (_, at): Peak => {
    const position = [Math.floor(at / map.columns), at % map.columns] as const;
    return { position, value: map.values[at] ?? 0 };
  });
  const found: Peak[] = [];
  for (const peak of all.sort((one, other) => other.value - one.value)) {
    if (found.length === most) break;
    const near = ({ position: [row, column] }: Peak) =>
      Math.abs(row - peak.position[0]) <= 1 && Math.abs(column - peak.position[1]) <= 1;
    if (!found.some(near)) found.push(peak);
  }
  return found;
}
