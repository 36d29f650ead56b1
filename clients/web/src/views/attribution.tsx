/** Which parts of a picture speak for an answer: any method, at the picture or at a layer. */

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { go, query, withOnly, withQuery } from "../address";
import { editsOf } from "../edits/notation";
import { type Layer, LayerKind } from "../gen/hooke/v1/model_service_pb";
import { type Technique, TechniqueKind } from "../gen/hooke/v1/technique_service_pb";
import { TechniqueForm } from "../lens/form";
import { isReady } from "../lens/message";
import { attributionRequest } from "../lens/request";
import { FindingView, TableView } from "../lens/tables";
import { FailureCard, Waiting, WorkStatus } from "../parts/status";
import { MapFigure } from "../pictures/map_figure";
import type { Seen } from "../pictures/reading";
import { summedMap } from "../pictures/sums";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import type { Observation } from "../work/observation";
import { useWork } from "../work/work";

/** Methods that are quick and easily read come first. */
const FIRST = ["grad_cam", "input_x_gradient"];

/** Names of the query that stay when another method is chosen. */
const KEPT = ["photo", "class", "at", "edit"];

interface AttributionProps {
  /** The unit that is explained. */
  readonly target: Required<Place>;
  readonly canvas: Seen;
  readonly photo: string;
  readonly label: string;
}

/** The section. */
export function Attribution(props: AttributionProps) {
  const { target, label } = props;
  const server = useServer();
  const ask = () => Promise.all([server.techniquesAt(target), server.layers(target.model)]);
  const { value, failure, again } = useAnswer(ask, pathOf(target));
  const methods = (value?.[0] ?? []).filter(
    ({ kind, applicability }) =>
      kind === TechniqueKind.ATTRIBUTION && applicability?.applicable !== false,
  );
  const named = query.value.get("method");
  const usual = FIRST.find((name) => methods.some((each) => each.name === name));
  const method = methods.find(({ name }) => name === (named ?? usual)) ?? methods[0];
  return (
    <section class="attribution" aria-label="Attribution">
      <h2>
        What speaks for <em>{label}</em>, and what against
        {query.value.has("edit") && ", with the change"}
      </h2>
      {failure && <FailureCard failure={failure} again={again} />}
      {!value && !failure && <Waiting what="The methods" />}
      {value && method && (
        <Explained {...props} methods={methods} method={method} layers={value[1]} />
      )}
    </section>
  );
}

interface ExplainedProps extends AttributionProps {
  readonly methods: readonly Technique[];
  readonly method: Technique;
  readonly layers: readonly Layer[];
}

function Explained(props: ExplainedProps) {
  const { target, canvas, photo, label, method } = props;
  const server = useServer();
  const round = useSignal(0);
  const places = useMemo(() => props.layers.filter(hasPlaces), [props.layers]);
  const at = query.value.get("at") ?? undefined;
  const values = query.value;
  const ready = isReady(method, values);
  const call = async (signal: AbortSignal) => {
    const request = await attributionRequest(
      method,
      { target, photo, at, edits: editsOf(values) },
      values,
    );
    return server.attribution.attribute(request, { signal });
  };
  const work = useWork(
    ready ? call : undefined,
    `${method.name} ${pathOf(target)} ${values} ${at} ${round.value}`,
  );
  const tensor = work?.observation.value.tensors.find(({ name }) => name === method.name);
  const map = useMemo(() => summedMap(tensor), [tensor]);
  return (
    <div class="response">
      <MapFigure seen={canvas} map={map} label={`The picture with what speaks for ${label}`} />
      <div>
        <Choices {...props} at={at} places={places} />
        <p class="note">{method.description.split("\n\n")[0]}</p>
        <p class="legend">
          <span class="for">speaks for it</span> <span class="against">against</span>
        </p>
        {work && <WorkStatus work={work} again={() => round.value++} what={method.title} />}
        {work && <Told observation={work.observation.value} />}
        <details class="settings" open={!ready}>
          <summary>{ready ? "Change how it is made" : "Choose what it needs, then look"}</summary>
          <TechniqueForm technique={method} />
        </details>
      </div>
    </div>
  );
}

/** What it tells in words and numbers, beside its map. */
function Told({ observation }: { observation: Observation }) {
  const tables = observation.tables.filter(({ name }) => name !== "targets");
  return (
    <>
      {observation.findings.map((finding) => (
        <FindingView key={finding.text} finding={finding} />
      ))}
      {tables.map((table) => (
        <TableView key={`${table.name} ${table.item}`} table={table} />
      ))}
    </>
  );
}

function Choices(props: ExplainedProps & { at: string | undefined; places: readonly Layer[] }) {
  const { methods, method, places, at } = props;
  const chooseMethod = (name: string) => go(withOnly(KEPT, { method: name }));
  const chooseLayer = (id: string) => go(withQuery({ at: id }));
  return (
    <div class="choices">
      <label class="stacked">
        Method
        <select onChange={(event) => chooseMethod(event.currentTarget.value)}>
          {methods.map(({ name, title }) => (
            <option key={name} value={name} selected={name === method.name}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <label class="stacked">
        At
        <select onChange={(event) => chooseLayer(event.currentTarget.value)}>
          <option value="">where the method looks by itself</option>
          {places.map(({ id, kind }) => (
            <option key={id} value={id} selected={id === at}>
              {kind === LayerKind.INPUT ? "the picture itself" : id}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

/** Rows and columns, and more than one of each; of what is inside a module only the larger parts. */
function hasPlaces({ output, kind, macs }: Layer): boolean {
  const [, , rows, columns] = output?.shape ?? [];
  const map =
    output?.shape.length === 4 && Number(rows?.size ?? 0) * Number(columns?.size ?? 0) > 1;
  return map && (kind === LayerKind.INPUT || macs > 0n);
}
