/** Which parts of a picture speak for an answer, at a layer of choice. */

import { useMemo } from "preact/hooks";
import { go, query, withQuery } from "../address";
import { type Layer, LayerKind } from "../gen/hooke/v1/model_service_pb";
import { useLens } from "../lens/run";
import { WorkStatus } from "../parts/status";
import { MapFigure } from "../pictures/map_figure";
import type { NumberMap } from "../pictures/overlay";
import type { Seen } from "../pictures/reading";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";

interface AttributionProps {
  readonly output: Place;
  readonly canvas: Seen;
  readonly photo: string;
  readonly target: number;
  readonly label: string;
}

/** Activation times gradient, as the lens `spatial_attribution` has it. */
export function SpatialAttribution({ output, canvas, photo, target, label }: AttributionProps) {
  const server = useServer();
  const { value: layers } = useAnswer(() => server.layers(output.model), output.model);
  const maps = useMemo(() => (layers ?? []).filter(hasPlaces), [layers]);
  const layer = query.value.get("layer") ?? usual(maps)?.id;
  const place = { model: output.model, ...(layer !== undefined && { layer }) };
  const { value: techniques } = useAnswer(() => server.techniquesAt(place), pathOf(place));
  const technique = techniques?.find(({ name }) => name === "spatial_attribution");
  const values = new URLSearchParams({
    photograph: photo,
    target: pathOf({ ...output, unit: target }),
  });
  const lens = layer && technique ? { technique, place, values } : undefined;
  const { work, again } = useLens(lens);
  const tensor = work?.observation.value.tensors.find(({ name }) => name === "attribution");
  const map = useMemo((): NumberMap | undefined => {
    const [rows, columns] = tensor?.shape.slice(-2) ?? [];
    return tensor && rows && columns ? { rows, columns, values: tensor.values } : undefined;
  }, [tensor]);
  return (
    <section class="attribution" aria-label="Attribution">
      <h2>
        What speaks for <em>{label}</em>, and what against
      </h2>
      <div class="response">
        <MapFigure seen={canvas} map={map} label={`The picture with what speaks for ${label}`} />
        <div>
          <label class="stacked">
            At layer
            <select
              value={layer ?? ""}
              onChange={(event) =>
                go(withQuery({ layer: event.currentTarget.value }), { replace: true })
              }
            >
              {maps.map(({ id }) => (
                <option key={id} value={id} selected={id === layer}>
                  {id}
                </option>
              ))}
            </select>
          </label>
          <p class="legend">
            <span class="for">for</span> <span class="against">against</span>
          </p>
          <p class="note">
            Activation times gradient, summed over the layer's units. Early layers tell fine places,
            late layers whole things.
          </p>
          {work && <WorkStatus work={work} again={again} what="The attribution" />}
        </div>
      </div>
    </section>
  );
}

/** Rows and columns, and more than one of each. */
function hasPlaces({ output }: Layer): boolean {
  const [, , rows, columns] = output?.shape ?? [];
  return (
    output?.shape.length === 4 && Number(rows?.size ?? 0) > 1 && Number(columns?.size ?? 0) > 1
  );
}

/** The last module that still has places enough to point with. */
function usual(layers: readonly Layer[]): Layer | undefined {
  const rows = ({ output }: Layer) => Number(output?.shape[2]?.size ?? 0);
  const modules = layers.filter(({ kind, macs }) => kind === LayerKind.BLOCK && macs > 0n);
  return modules.findLast((each) => rows(each) >= 12) ?? layers.at(-1);
}
