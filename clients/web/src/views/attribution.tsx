/** Which parts of a picture speak for an answer: any method, at the picture or at a layer. */

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { query } from "../address";
import { editsOf } from "../edits/notation";
import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { type Technique, TechniqueKind } from "../gen/hooke/v1/technique_service_pb";
import { TechniqueForm } from "../lens/form";
import { isReady, unaskable } from "../lens/message";
import { Unfit } from "../lens/panel";
import { attributionRequest } from "../lens/request";
import { FailureCard, Waiting, WorkStatus } from "../parts/status";
import { MapFigure } from "../pictures/map_figure";
import { Picture } from "../pictures/picture";
import type { Seen } from "../pictures/reading";
import { laidOut, summedMap } from "../pictures/sums";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { isFinal, NOTHING } from "../work/observation";
import { useWork, type Work } from "../work/work";
import { Told } from "./attribution_told";
import { hasPlaces, MethodChoices, questioned } from "./method_choices";
import { Trust } from "./trust";

/** Methods that are quick and easily read come first. */
const FIRST = ["grad_cam", "input_x_gradient"];

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
  const known = (value?.[0] ?? []).filter(({ kind }) => kind === TechniqueKind.ATTRIBUTION);
  const methods = known.filter((each) => obstacle(each) === "");
  const named = query.value.get("method");
  const wanted = [named, ...FIRST].map((name) => methods.find((each) => each.name === name));
  const method = wanted.find((each) => each !== undefined) ?? methods[0];
  return (
    <section class="attribution" aria-label="Attribution">
      <h2>
        What speaks for <em>{label}</em>, and what against
        {query.value.has("edit") && ", with the change"}
      </h2>
      {failure && <FailureCard failure={failure} again={again} />}
      {!value && !failure && <Waiting what="The methods" />}
      {value && method && (
        <Explained
          {...props}
          methods={methods}
          others={known.filter((each) => !methods.includes(each))}
          method={method}
          layers={value[1]}
        />
      )}
    </section>
  );
}

/** Why a method is not offered; empty where it is. */
const obstacle = (method: Technique): string =>
  method.applicability?.applicable === false ? method.applicability.reason : unaskable(method);

interface ExplainedProps extends AttributionProps {
  readonly methods: readonly Technique[];
  /** Those that are not offered. */
  readonly others: readonly Technique[];
  readonly method: Technique;
  readonly layers: readonly Layer[];
}

function Explained(props: ExplainedProps) {
  const { target, canvas, photo, label, method, others } = props;
  const server = useServer();
  const round = useSignal(0);
  const places = useMemo(() => props.layers.filter(hasPlaces), [props.layers]);
  const values = new URLSearchParams(query.value);
  values.delete("evidence"); // it is another question
  const ready = isReady(method, values);
  const at = questioned(method, values, places);
  const request = () =>
    attributionRequest(method, { target, photo, at: at.layers, edits: editsOf(values) }, values);
  const call = async (signal: AbortSignal) =>
    server.attribution.attribute(await request(), { signal });
  const question = `${method.name} ${pathOf(target)} ${photo} ${values} ${at.layers}`;
  const work = useWork(ready ? call : undefined, `${question} ${round.value}`);
  const { tensors } = work?.observation.value ?? NOTHING;
  const tensor = tensors.find(({ name }) => name === method.name);
  const map = useMemo(
    () => summedMap(tensor) ?? summedMap(laidOut(tensors, props.layers)),
    [tensor, tensors.length],
  );
  return (
    <div class="response">
      <Shown work={work} map={map} canvas={canvas} label={label} />
      <div>
        <MethodChoices {...props} places={places} usual={at.usual} />
        <p class="note">{method.description.split("\n\n")[0]}</p>
        {map && (
          <p class="legend">
            <span class="for">speaks for it</span> <span class="against">against</span>
          </p>
        )}
        {work && <WorkStatus work={work} again={() => round.value++} what={method.title} />}
        <details class="settings" open={!ready}>
          <summary>{ready ? "Change how it is made" : "Choose what it needs, then look"}</summary>
          <TechniqueForm technique={method} />
        </details>
        {others.length > 0 && <Others methods={others} />}
        {work && <Told work={work} what={method.title} />}
        {tensor && <Trust request={request} question={question} title={method.title} />}
      </div>
    </div>
  );
}

/** Those that are not offered, and why; open where one of them was wanted. */
function Others({ methods }: { methods: readonly Technique[] }) {
  const wanted = query.value.get("method");
  return (
    <details class="unfit" open={methods.some(({ name }) => name === wanted)}>
      <summary>Methods that cannot be asked here</summary>
      <Unfit lenses={methods} reasonOf={obstacle} />
    </details>
  );
}

/** The picture with the map over it; before that the last look at unfinished work. */
function Shown(props: {
  work: Work | undefined;
  map: ReturnType<typeof summedMap>;
  canvas: Seen;
  label: string;
}) {
  const { work, map, canvas, label } = props;
  const looks = [...(work?.observation.value.pictures.values() ?? [])];
  const look = looks.findLast((each) => !isFinal(each));
  if (look !== undefined && map === undefined)
    return (
      <figure class="plate">
        <Picture picture={look} alt={`Unfinished: what speaks for ${label}`} />
        <figcaption>So far; red speaks for it, blue against.</figcaption>
      </figure>
    );
  return <MapFigure seen={canvas} map={map} label={`The picture with what speaks for ${label}`} />;
}
