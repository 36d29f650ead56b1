/** A layer: all its units, what it says to a photograph, its weights, and every lens. */

import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { LensPanel } from "../lens/panel";
import { Facts } from "../parts/facts";
import { FailureCard, Waiting } from "../parts/status";
import { chosenTab, Tabs } from "../parts/tabs";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { LayerPhotograph } from "./layer_photograph";
import { layerFacts } from "./models";
import { UnitSheet } from "./unit_sheet";
import { Weights } from "./weights";

const TABS = [
  { id: "units", title: "Units" },
  { id: "photograph", title: "In a photograph" },
  { id: "weights", title: "Weights" },
  { id: "lens", title: "All lenses" },
];

/** The view. */
export function LayerView({ place }: { place: Required<Omit<Place, "unit">> }) {
  const server = useServer();
  const { value: layer, failure, again } = useAnswer(() => server.layer(place), pathOf(place));
  return (
    <div class="page">
      <header class="title">
        <h1 class="id">{place.layer}</h1>
        {layer && <Facts facts={layerFacts(layer)} />}
        {layer && <Neighbours model={place.model} layer={layer} />}
      </header>
      {failure && (
        <FailureCard
          failure={failure}
          again={again}
          hrefOf={(layer) => pathOf({ model: place.model, layer })}
        />
      )}
      {!layer && !failure && <Waiting what="The layer" />}
      {layer && <Tabs tabs={TABS} />}
      {layer && <Part place={place} layer={layer} />}
    </div>
  );
}

function Part({ place, layer }: { place: Required<Omit<Place, "unit">>; layer: Layer }) {
  switch (chosenTab(TABS)) {
    case "photograph":
      return <LayerPhotograph place={place} layer={layer} />;
    case "weights":
      return <Weights place={place} unitCount={layer.unitCount} />;
    case "lens":
      return <LensPanel place={place} />;
    default:
      return <UnitSheet place={place} unitCount={layer.unitCount} />;
  }
}

/** Where its values come from and where they go. */
function Neighbours({ model, layer }: { model: string; layer: Layer }) {
  const links = (ids: readonly string[]) =>
    ids.map((id) => (
      <a key={id} href={pathOf({ model, layer: id })}>
        {id}
      </a>
    ));
  return (
    <p class="neighbours">
      {layer.producerIds.length > 0 && (
        <span>
          <span aria-hidden="true">↑</span> reads {links(layer.producerIds)}
        </span>
      )}
      {layer.consumerIds.length > 0 && (
        <span>
          <span aria-hidden="true">↓</span> feeds {links(layer.consumerIds)}
        </span>
      )}
    </p>
  );
}
