/** Two places side by side, of one model or of two. */

import { useMemo } from "preact/hooks";
import { go, query, withQuery } from "../address";
import { LensRun } from "../lens/run";
import { Facts } from "../parts/facts";
import { Empty, FailureCard, Waiting } from "../parts/status";
import { modelId, type Place, pathOf, placeOf } from "../server/names";
import { type Server, useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { CompareModels } from "./compare_models";
import { layerFacts, modelFacts } from "./models";

const SIDES = [
  { id: "left", title: "Left" },
  { id: "right", title: "Right" },
] as const;

const QUICK = { "ascent.steps": "128", "ascent.size": "112" };

/** The view; both places stand in the address. */
export function CompareView() {
  const server = useServer();
  const { value: models, failure, again } = useAnswer(() => server.listModels(), "models");
  const left = placeOf(query.value.get("left") ?? "");
  const right = placeOf(query.value.get("right") ?? "");
  return (
    <div class="page wide">
      <header class="title">
        <h1>Compare</h1>
        <p>Two places side by side, of one model or of two.</p>
      </header>
      {failure && <FailureCard failure={failure} again={again} />}
      {!models && !failure && <Waiting what="The list of models" />}
      {models && (
        <div class="compare">
          {SIDES.map(({ id, title }) => (
            <Side
              key={id}
              id={id}
              title={title}
              models={models.map(({ name }) => modelId(name))}
              place={id === "left" ? left : right}
            />
          ))}
        </div>
      )}
      {isUnit(left) && isUnit(right) ? (
        <Between left={left} right={right} />
      ) : (
        left && right && <CompareModels left={left} right={right} />
      )}
    </div>
  );
}

const isUnit = (place: Place | undefined): place is Required<Place> => place?.unit !== undefined;

interface SideProps {
  readonly id: "left" | "right";
  readonly title: string;
  readonly models: readonly string[];
  readonly place: Place | undefined;
}

function Side({ id, title, models, place }: SideProps) {
  const choose = (changed: Place) => go(withQuery({ [id]: pathOf(changed) }));
  const lone = models.length === 1 ? models[0] : undefined;
  const model = place?.model ?? lone;
  return (
    <section class="side" aria-label={title}>
      <div class="side-place">
        <label class="stacked">
          Model
          <select
            value={model ?? ""}
            onChange={(event) => choose({ model: event.currentTarget.value })}
          >
            <option value="" disabled>
              choose
            </option>
            {models.map((each) => (
              <option key={each} value={each} selected={each === model}>
                {each}
              </option>
            ))}
          </select>
        </label>
        {model && <LayerAndUnit id={id} place={{ ...place, model }} choose={choose} />}
      </div>
      {isUnit(place) ? <Feature place={place} /> : <Chosen place={place} />}
    </section>
  );
}

/** What is known of a place that is no unit. */
function Chosen({ place }: { place: Place | undefined }) {
  const server = useServer();
  const key = place ? pathOf(place) : "";
  const { value: facts } = useAnswer(() => factsOf(server, place), key);
  if (place === undefined) return <Empty title="Choose a model" />;
  return (
    <>
      {facts && <Facts facts={facts} />}
      <p class="note">
        {place.layer ? "Choose a unit to see it" : "Choose a layer and a unit to see one"}, or
        compare the two as a whole.
      </p>
    </>
  );
}

async function factsOf(server: Server, place: Place | undefined): Promise<[string, string][]> {
  if (place === undefined) return [];
  if (place.layer !== undefined) return layerFacts(await server.layer(place));
  await server.layers(place.model); // loads it
  return modelFacts(await server.model(place.model));
}

function LayerAndUnit(props: { id: string; place: Place; choose: (place: Place) => void }) {
  const { id, place, choose } = props;
  const server = useServer();
  const { value: layers } = useAnswer(() => server.layers(place.model), place.model);
  const ids = useMemo(() => new Set(layers?.map((each) => each.id)), [layers]);
  const list = `layers-${id}`;
  return (
    <>
      <label class="stacked">
        Layer
        <input
          list={list}
          value={place.layer ?? ""}
          disabled={layers === undefined}
          placeholder={layers === undefined ? "loading" : layers.at(-1)?.id}
          onInput={({ currentTarget: { value } }) => {
            if (ids.has(value)) choose({ model: place.model, layer: value });
          }}
        />
        <datalist id={list}>
          {[...ids].map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      </label>
      <label class="stacked">
        Unit
        <input
          type="number"
          min="0"
          value={place.unit ?? ""}
          disabled={place.layer === undefined}
          onChange={({ currentTarget: { valueAsNumber } }) => {
            if (!Number.isNaN(valueAsNumber)) choose({ ...place, unit: valueAsNumber });
          }}
        />
      </label>
    </>
  );
}

function Feature({ place }: { place: Required<Place> }) {
  const server = useServer();
  const { value, failure, again } = useAnswer(() => server.techniquesAt(place), pathOf(place));
  const technique = value?.find(({ name }) => name === "feature_visualization");
  if (failure) return <FailureCard failure={failure} again={again} />;
  if (!technique) return <Waiting what="The picture" />;
  return (
    <>
      <LensRun large technique={technique} place={place} values={new URLSearchParams(QUICK)} />
      <p>
        <a href={pathOf(place)}>
          Unit {place.unit} of {place.layer}
        </a>
      </p>
    </>
  );
}

/** What each says to what the other likes, by the lens `comparison`. */
function Between({ left, right }: { left: Required<Place>; right: Required<Place> }) {
  const server = useServer();
  const { value } = useAnswer(() => server.techniquesAt(left), pathOf(left));
  const technique = value?.find(({ name }) => name === "comparison");
  if (!technique?.applicability?.applicable) return null;
  const values = new URLSearchParams({ ...QUICK, other: pathOf(right) });
  return (
    <section class="between" aria-label="How each responds to what the other likes">
      <h2>How each responds to what the other likes</h2>
      <LensRun technique={technique} place={left} values={values} />
    </section>
  );
}
