/** The filters of a convolution that sees the model's input, in the input's own colours. */

import { useSignal } from "@preact/signals";
import { filtersRequest } from "../lens/request";
import { WorkStatus } from "../parts/status";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useWork } from "../work/work";
import { UnitTiles } from "./unit_tiles";

const MOST = 256;

/** A tile for each unit, which leads to it. */
export function Filters({ place, unitCount }: { place: Place; unitCount: number }) {
  const server = useServer();
  const round = useSignal(0);
  const units = Array.from({ length: Math.min(MOST, unitCount) }, (_, unit) => unit);
  const request = filtersRequest(place, units);
  const key = `filters ${pathOf(place)} ${round.value}`;
  const work = useWork((signal) => server.visualization.visualize(request, { signal }), key);
  if (work === undefined) return null;
  const sheet = [...work.observation.value.pictures.values()].find(({ tiles }) => tiles.length > 0);
  return (
    <section class="filters-section" aria-label="Filters">
      <h2>Filters, in the colours of the input</h2>
      {sheet && <UnitTiles sheet={sheet} link={(unit) => pathOf({ ...place, unit })} />}
      {work.status.value !== "done" && (
        <WorkStatus work={work} again={() => round.value++} what="The filters" />
      )}
    </section>
  );
}
