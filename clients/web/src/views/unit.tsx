/** A unit: what it responds to, where it does so in a photograph, how it is tuned, every lens. */

import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { LensPanel } from "../lens/panel";
import { LensRun } from "../lens/run";
import { Facts } from "../parts/facts";
import { Empty, FailureCard, Waiting } from "../parts/status";
import { chosenTab, Tabs } from "../parts/tabs";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { layerFacts } from "./models";
import { UnitFeature } from "./unit_feature";
import { UnitPhotograph } from "./unit_photograph";

const TABS = [
  { id: "feature", title: "What it responds to" },
  { id: "photograph", title: "In a photograph" },
  { id: "tuning", title: "Tuning curves" },
  { id: "lens", title: "All lenses" },
];

/** The view. */
export function UnitView({ place }: { place: Required<Place> }) {
  const server = useServer();
  const { value: layer, failure, again } = useAnswer(() => server.layer(place), pathOf(place));
  const { value: label } = useAnswer(() => labelOf(place), pathOf(place));
  async function labelOf({ model, layer, unit }: Required<Place>): Promise<string> {
    await server.layer({ model, layer }); // loads the model
    const { outputLayer, classLabels } = await server.model(model);
    return outputLayer === layerName(place) ? (classLabels[unit] ?? "") : "";
  }
  return (
    <div class="page">
      <header class="title">
        <h1>
          {label || `Unit ${place.unit}`}
          <span class="beside">
            {label && `unit ${place.unit} `}of{" "}
            <a href={pathOf({ model: place.model, layer: place.layer })}>{place.layer}</a>
          </span>
        </h1>
        {layer && (
          <Facts
            facts={layerFacts(layer).filter(([name]) => name !== "parameters" && name !== "MACs")}
          />
        )}
        {layer && <Siblings place={place} count={layer.unitCount} />}
      </header>
      {failure && (
        <FailureCard
          failure={failure}
          again={again}
          hrefOf={(layer) => pathOf({ ...place, layer })}
        />
      )}
      {!layer && !failure && <Waiting what="The layer" />}
      {layer && <Tabs tabs={TABS} />}
      {layer && <Part place={place} layer={layer} />}
    </div>
  );
}

const layerName = ({ model, layer }: Required<Place>): string => pathOf({ model, layer }).slice(1);

function Part({ place, layer }: { place: Required<Place>; layer: Layer }) {
  switch (chosenTab(TABS)) {
    case "photograph":
      return <UnitPhotograph place={place} layer={layer} />;
    case "tuning":
      return <Tuning place={place} />;
    case "lens":
      return <LensPanel place={place} />;
    default:
      return <UnitFeature place={place} />;
  }
}

function Tuning({ place }: { place: Place }) {
  const server = useServer();
  const { value, failure, again } = useAnswer(() => server.techniquesAt(place), pathOf(place));
  if (failure) return <FailureCard failure={failure} again={again} />;
  const technique = value?.find(({ name }) => name === "tuning_curves");
  if (!technique) return <Waiting what="Tuning curves" />;
  const reason = technique.applicability?.reason;
  if (reason)
    return (
      <Empty title="No tuning curves here">
        <p>{reason}</p>
      </Empty>
    );
  return <LensRun large technique={technique} place={place} values={new URLSearchParams()} />;
}

function Siblings({ place, count }: { place: Required<Place>; count: number }) {
  const { unit } = place;
  return (
    <nav class="actions" aria-label="Other units">
      {unit > 0 && (
        <a class="button" href={pathOf({ ...place, unit: unit - 1 })} title="The unit before">
          ← <span class="visually-hidden">unit </span>
          {unit - 1}
        </a>
      )}
      {unit + 1 < count && (
        <a class="button" href={pathOf({ ...place, unit: unit + 1 })} title="The next unit">
          <span class="visually-hidden">unit </span>
          {unit + 1} →
        </a>
      )}
      <a class="button" href={`/compare?left=${pathOf(place)}`}>
        Compare
      </a>
    </nav>
  );
}
