/** What a layer says to a photograph: numbers, a map of each unit, and what it sees where. */

import { useSignal } from "@preact/signals";
import { go, query, withQuery } from "../address";
import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { ReductionScope, Statistic } from "../gen/hooke/v1/readout_pb";
import { LensRun } from "../lens/run";
import { Histogram } from "../parts/histogram";
import { decimal, percent } from "../parts/numbers";
import { WorkStatus } from "../parts/status";
import { AddressPicker, chosenPhotograph } from "../pictures/picker";
import { exactly, readingOf } from "../pictures/reading";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import type { Observation } from "../work/observation";
import { useWork } from "../work/work";
import { UnitMaps } from "./unit_maps";

const MAPS = 64;
const TILE = 88;

/** The part. */
export function LayerPhotograph({ place, layer }: { place: Place; layer: Layer }) {
  const server = useServer();
  const photo = chosenPhotograph();
  const round = useSignal(0);
  const call = async (signal: AbortSignal) => {
    const request = await readingOf(place.model, photo, readouts(layer));
    return server.activations.streamActivations(request, { signal });
  };
  const work = useWork(call, `${pathOf(place)} ${photo} ${round.value}`);
  if (work === undefined) return null;
  return (
    <section aria-label="In a photograph">
      <AddressPicker />
      <WorkStatus work={work} again={() => round.value++} what="The layer's answer" />
      <Numbers seen={work.observation.value} />
      <Grid place={place} photo={photo} />
      <UnitMaps place={place} seen={work.observation.value} photo={photo} />
    </section>
  );
}

/** Whether it has rows and columns. */
export const hasMap = (layer: Layer): boolean => layer.output?.shape.length === 4;

function readouts(layer: Layer) {
  const layerGlobs = [exactly(layer.id)];
  const over = (scope: ReductionScope, statistic: Statistic) => ({
    layerGlobs,
    form: {
      case: "tensor" as const,
      value: { reduction: { form: { case: "statistic" as const, value: statistic }, scope } },
    },
  });
  return [
    over(ReductionScope.POSITIONS, Statistic.MEAN),
    over(ReductionScope.SAMPLE, Statistic.MEAN),
    over(ReductionScope.SAMPLE, Statistic.MAX),
    over(ReductionScope.SAMPLE, Statistic.MIN),
    over(ReductionScope.SAMPLE, Statistic.ZERO_FRACTION),
    {
      layerGlobs,
      form: {
        case: "tensor" as const,
        value: {
          reduction: {
            form: { case: "histogram" as const, value: { bins: 64 } },
            scope: ReductionScope.SAMPLE,
          },
        },
      },
    },
    ...(hasMap(layer)
      ? [
          {
            layerGlobs,
            form: { case: "featureMaps" as const, value: { maxUnits: MAPS, tileSize: TILE } },
          },
        ]
      : []),
  ];
}

function Numbers({ seen }: { seen: Observation }) {
  const single = (item: number) => seen.tensors.find((each) => each.item === item)?.values[0];
  const [mean, most, least, zeros] = [1, 2, 3, 4].map(single);
  const counts = seen.tensors.find(({ name }) => name === "counts");
  const edges = seen.tensors.find(({ name }) => name === "edges");
  if (mean === undefined || most === undefined || least === undefined) return null;
  return (
    <div class="statistics">
      <dl class="facts">
        {[
          ["smallest", decimal(least)],
          ["mean", decimal(mean)],
          ["largest", decimal(most)],
          ["exactly zero", percent(zeros ?? 0)],
        ].map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {counts && edges && (
        <Histogram
          label="Histogram of the activations"
          counts={[...counts.values]}
          edges={[...edges.values]}
        />
      )}
    </div>
  );
}

/** The activation grid: made when it is asked for, since it takes a while. */
function Grid({ place, photo }: { place: Place; photo: string }) {
  const server = useServer();
  const { value: techniques } = useAnswer(() => server.techniquesAt(place), pathOf(place));
  const technique = techniques?.find(({ name }) => name === "activation_grid");
  if (!technique?.applicability?.applicable) return null;
  const values = new URLSearchParams({
    photograph: photo,
    "ascent.steps": "64",
    "ascent.size": "64",
    cells: "7",
  });
  return (
    <section class="grid-section" aria-label="Activation grid">
      <h2>What the layer sees, place by place</h2>
      {query.value.has("grid") ? (
        <LensRun technique={technique} place={place} values={values} />
      ) : (
        <p>
          <button type="button" onClick={() => go(withQuery({ grid: "yes" }))}>
            Make the activation grid
          </button>
        </p>
      )}
    </section>
  );
}
