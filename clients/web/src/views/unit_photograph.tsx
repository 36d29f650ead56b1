/** Where in a photograph a unit responds, and to what. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Layer, Model } from "../gen/hooke/v1/model_service_pb";
import { decimal } from "../parts/numbers";
import { Empty, FailureCard, Waiting, WorkStatus } from "../parts/status";
import { fieldOf, type Rectangle } from "../pictures/crop";
import { drawSeen, type NumberMap, Overlay } from "../pictures/overlay";
import { AddressPicker, chosenPhotograph } from "../pictures/picker";
import { exactly, readingOf, type Seen, seen } from "../pictures/reading";
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
    const readout = { layerGlobs: [exactly(layer.id)], units: [BigInt(place.unit)] };
    const request = await readingOf(place.model, photo, [readout]);
    return server.activations.streamActivations(request, { signal });
  };
  const work = useWork(call, `${pathOf(place)} ${photo} ${round.value}`);
  const { value: canvas, failure } = useAnswer(() => seen(model, photo), `${photo} ${model.name}`);
  if (work === undefined) return null;
  return (
    <>
      {failure && <FailureCard failure={failure} />}
      {canvas && <Drawn layer={layer} canvas={canvas} observation={work.observation.value} />}
      <WorkStatus work={work} again={() => round.value++} what="The unit's answer" />
    </>
  );
}

/** The map over the photograph, and the patches where the unit is strongest. */
function Drawn(props: { layer: Layer; canvas: Seen; observation: Observation }) {
  const { layer, canvas, observation } = props;
  const strength = useSignal(0.75);
  const [tensor] = observation.tensors;
  const map = useMemo((): NumberMap | undefined => {
    const [, , rows, columns] = tensor?.shape ?? [];
    return tensor && rows && columns ? { rows, columns, values: tensor.values } : undefined;
  }, [tensor]);
  const input = { width: canvas.how.cropWidth, height: canvas.how.cropHeight };
  const strongest = useMemo(() => (map ? strongestPlaces(map, STRONGEST) : []), [map]);
  const fields = useMemo(
    () => strongest.map(({ position }) => fieldOf(layer, position, input)).filter((each) => each !== undefined),
    [strongest, layer],
  );
  if (tensor && !map)
    return (
      <p class="single numbers">
        It says <strong>{decimal(tensor.values[0] ?? 0)}</strong>
      </p>
    );
  return (
    <div class="response">
      <figure>
        <Overlay
          seen={canvas}
          map={map}
          strength={strength.value}
          marks={fields}
          label="The photograph with where the unit responds over it"
        />
        <label class="slider">
          Map
          <input
            type="range"
            min="0"
            max="1"
            step="0.05"
            value={strength.value}
            onInput={(event) => {
              strength.value = Number(event.currentTarget.value);
            }}
          />
        </label>
      </figure>
      <div>
        <h2>Where it responds most</h2>
        <ol class="patches">
          {strongest.map(({ position, value }, index) => (
            <li key={position.join()}>
              {fields[index] && <Patch seen={canvas} part={fields[index]} />}
              <span class="numbers">
                {decimal(value)} <span class="pale">at {position.join(", ")}</span>
              </span>
            </li>
          ))}
        </ol>
      </div>
    </div>
  );
}

interface Peak {
  readonly position: readonly [number, number];
  readonly value: number;
}

/** The largest values, no two of them neighbours. */
export function strongestPlaces(map: NumberMap, most: number): Peak[] {
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

function Patch({ seen: canvas, part }: { seen: Seen; part: Rectangle }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const brush = ref.current?.getContext("2d");
    if (!brush) return;
    const scale = 128 / Math.max(part.width, part.height);
    brush.setTransform(scale, 0, 0, scale, -part.x * scale, -part.y * scale);
    drawSeen(brush, canvas);
  }, [canvas, part]);
  const longest = Math.max(part.width, part.height);
  return (
    <canvas
      ref={ref}
      aria-hidden="true"
      width={Math.round((128 * part.width) / longest)}
      height={Math.round((128 * part.height) / longest)}
    />
  );
}
