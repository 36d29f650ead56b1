/** Where in a photograph a unit responds, and to what. */

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { format } from "../edits/notation";
import type { Layer, Model } from "../gen/hooke/v1/model_service_pb";
import { decimal } from "../parts/numbers";
import { Empty, FailureCard, Waiting, WorkStatus } from "../parts/status";
import { fieldOf } from "../pictures/crop";
import { MapFigure } from "../pictures/map_figure";
import { Patches } from "../pictures/patches";
import { peaksOf } from "../pictures/peaks";
import { AddressPicker, chosenPhotograph } from "../pictures/picker";
import { exactly, readingOf, type Seen, seen } from "../pictures/reading";
import { summedMap } from "../pictures/sums";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import type { Observation } from "../work/observation";
import { useWork } from "../work/work";

const STRONGEST = 6;

/** The part. */
export function UnitPhotograph({ place, layer }: { place: Required<Place>; layer: Layer }) {
  const server = useServer();
  const { value: model } = useAnswer(() => server.model(place.model), place.model);
  return (
    <section aria-label="In a photograph">
      <AddressPicker />
      {model === undefined && <Waiting what="The model" />}
      {model && !model.preprocessing && (
        <Empty title="This model does not look at pictures">
          <p>Send it tensors through a client instead.</p>
        </Empty>
      )}
      {model?.preprocessing && <Response place={place} layer={layer} model={model} />}
    </section>
  );
}

interface ResponseProps {
  readonly place: Required<Place>;
  readonly layer: Layer;
  readonly model: Model;
}

function Response({ place, layer, model }: ResponseProps) {
  const server = useServer();
  const photo = chosenPhotograph();
  const round = useSignal(0);
  const call = async (signal: AbortSignal) => {
    const readout = { layerGlobs: [exactly(layer.id)], units: [place.unit] };
    const request = await readingOf(place.model, photo, [readout]);
    return server.activations.streamActivations(request, { signal });
  };
  const work = useWork(call, `${pathOf(place)} ${photo} ${round.value}`);
  const { value: canvas, failure } = useAnswer(() => seen(model, photo), `${photo} ${model.name}`);
  if (work === undefined) return null;
  return (
    <>
      {failure && <FailureCard failure={failure} />}
      {canvas && (
        <Drawn
          layer={layer}
          canvas={canvas}
          observation={work.observation.value}
          silent={silentHref(place, photo)}
        />
      )}
      <WorkStatus work={work} again={() => round.value++} what="The unit's answer" />
    </>
  );
}

/** The picture through the model without this unit. */
function silentHref({ model, layer, unit }: Required<Place>, photo: string): string {
  const edit = format({ kind: "ablate", value: "", layer, units: [unit] });
  return `${pathOf({ model })}/photograph?${new URLSearchParams({ photo, edit })}`;
}

/** The map over the photograph, and the patches where the unit is strongest. */
function Drawn(props: {
  layer: Layer;
  canvas: Seen;
  observation: Observation;
  /** Where the model answers without this unit. */
  silent: string;
}) {
  const { layer, canvas, observation } = props;
  const pointed = useSignal(0);
  const [tensor] = observation.tensors;
  const map = useMemo(() => summedMap(tensor), [tensor]);
  const input = { width: canvas.how.cropWidth, height: canvas.how.cropHeight };
  const peaks = useMemo(() => (map ? peaksOf(map, STRONGEST) : []), [map]);
  const fields = useMemo(
    () => peaks.map(({ position }) => fieldOf(layer, position, input)),
    [peaks, layer],
  );
  return (
    <div class="response">
      <MapFigure
        seen={canvas}
        map={map}
        mark={fields[pointed.value]}
        label="The photograph with where the unit responds over it"
      />
      <div>
        {map ? (
          <>
            <h2>Where it responds most</h2>
            <Patches
              seen={canvas}
              peaks={peaks}
              fields={fields}
              pointed={pointed.value}
              point={(index) => {
                pointed.value = index;
              }}
            />
          </>
        ) : (
          tensor && (
            <p class="single numbers">
              It says <strong>{decimal(tensor.values[0] ?? 0)}</strong>
            </p>
          )
        )}
        <p class="after">
          <a class="button" href={props.silent}>
            What if it were silent?
          </a>
        </p>
      </div>
    </div>
  );
}
