/** Charts that the server drew. */

import type { Picture as Made } from "../gen/hooke/v1/image_pb";
import { Picture } from "./picture";

/** Ink on paper; on a small screen it is pushed along rather than made too small to read. */
export function ChartView({ picture, what }: { picture: Made; what: string }) {
  const { name, caption, width, height } = picture;
  return (
    <figure class="chart" data-long={width > 1.6 * height}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and a keyboard has to reach that */}
      <section class="chart-view" tabIndex={0} aria-label={caption || name}>
        <Picture picture={picture} alt={`${what}: ${caption || name}`} />
      </section>
      <figcaption class="numbers">{caption}</figcaption>
    </figure>
  );
}
