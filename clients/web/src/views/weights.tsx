/** The weights of a layer: each as numbers and a histogram, and as pictures where they can be. */

import type { WeightSummary } from "../gen/hooke/v1/model_service_pb";
import { Histogram } from "../parts/histogram";
import { decimal, percent, whole } from "../parts/numbers";
import { Empty, FailureCard, Waiting } from "../parts/status";
import { type Place, pathOf, resourceName } from "../server/names";
import { type Server, useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { Filters } from "./filters";

const BINS = 64;

/** The part. */
export function Weights({ place, unitCount }: { place: Place; unitCount: number }) {
  const server = useServer();
  const key = pathOf(place);
  const { value: weights, failure, again } = useAnswer(() => summaries(server, place), key);
  const { value: techniques } = useAnswer(() => server.techniquesAt(place), key);
  const pictures = techniques?.find(({ name }) => name === "weight_pictures");
  if (failure) return <FailureCard failure={failure} again={again} />;
  if (!weights) return <Waiting what="The weights" />;
  if (weights.length === 0)
    return (
      <Empty title="No weights">
        <p>This layer computes without learned numbers.</p>
      </Empty>
    );
  return (
    <section aria-label="Weights">
      {pictures?.applicability?.applicable && <Filters place={place} unitCount={unitCount} />}
      <ul class="weights">
        {weights.map((each) => (
          <WeightCard key={each.weight?.name} summary={each} />
        ))}
      </ul>
    </section>
  );
}

function WeightCard({ summary }: { summary: WeightSummary }) {
  const { weight, minimum, maximum, mean, std, zeroFraction } = summary;
  const count = weight?.shape.reduce((product, each) => product * each, 1n) ?? 0n;
  return (
    <li class="card">
      <h3 class="id">{weight?.name}</h3>
      <p class="numbers">
        {weight?.shape.join(" × ") || "one number"}
        {count > 1n && ` = ${whole(count)}`}
      </p>
      <Histogram
        label={`Histogram of ${weight?.name}`}
        edges={summary.histogramEdges}
        counts={summary.histogramCounts.map(Number)}
      />
      <p class="numbers">
        {decimal(minimum)} … {decimal(maximum)} · mean {decimal(mean)} · deviation {decimal(std)}
        {zeroFraction > 0 && ` · ${percent(zeroFraction)} zero`}
      </p>
    </li>
  );
}

async function summaries(server: Server, place: Place): Promise<WeightSummary[]> {
  const found: WeightSummary[] = [];
  const request = { parent: resourceName(place), histogramBins: BINS };
  for await (const { content } of server.models.streamWeights(request))
    if (content.case === "summary") found.push(content.value);
  return found;
}
