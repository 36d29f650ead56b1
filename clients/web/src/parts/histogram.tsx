/** Counts as bars, by the square root, so that tails are seen. */

import { decimal } from "./numbers";

interface HistogramProps {
  readonly label: string;
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

/** A drawing with the first and last edge, and zero where it lies between. */
export function Histogram({ label, edges, counts }: HistogramProps) {
  const low = edges[0] ?? 0;
  const high = edges.at(-1) ?? 1;
  const most = Math.max(1, ...counts);
  const width = 100 / Math.max(1, counts.length);
  const zero = low < 0 && high > 0 ? (100 * -low) / (high - low) : undefined;
  return (
    <figure class="histogram">
      <svg viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label={label}>
        {counts.map((count, index) => {
          const height = 31 * Math.sqrt(count / most);
          return (
            <rect key={index} x={index * width} y={32 - height} width={width} height={height} />
          );
        })}
        {zero !== undefined && <line x1={zero} x2={zero} y1="0" y2="32" />}
      </svg>
      <figcaption class="numbers" aria-hidden="true">
        <span>{decimal(low)}</span>
        <span>{decimal(high)}</span>
      </figcaption>
    </figure>
  );
}
