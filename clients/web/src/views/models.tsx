/** All models that the server knows. */

import { useEffect } from "preact/hooks";
import { type Layer, type Model, ModelFormat, ModelState } from "../gen/hooke/v1/model_service_pb";
import { bytes, shape, short } from "../parts/numbers";
import { Empty, FailureCard, Waiting } from "../parts/status";
import { FirstFilters } from "../pictures/first_filters";
import { modelId, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";

const STATES: Partial<Record<ModelState, string>> = {
  [ModelState.UNLOADED]: "not loaded",
  [ModelState.LOADING]: "loading",
  [ModelState.FAILED]: "failed",
  [ModelState.UNLOADING]: "unloading",
};

/** States that soon become others, and after how many milliseconds to look again. */
const MOVING = new Set([ModelState.LOADING, ModelState.UNLOADING]);
const LOOK_AGAIN = 1000;

/** The first thing that is seen. */
export function ModelsView() {
  const server = useServer();
  const { value: models, failure, again } = useAnswer(() => server.listModels(), "models");
  const moving = models?.some(({ state }) => MOVING.has(state));
  useEffect(() => {
    const timer = moving ? setTimeout(again, LOOK_AGAIN) : undefined;
    return () => clearTimeout(timer);
  }, [models]);
  return (
    <div class="page">
      <header class="title">
        <h1>Models</h1>
        <p>Choose what lies under the microscope.</p>
      </header>
      {failure && <FailureCard failure={failure} again={again} />}
      {!models && !failure && <Waiting what="The list of models" />}
      {models?.length === 0 && (
        <Empty title="No model yet">
          <p>
            Start the server with one: <code>hooke serve --demo</code>, or{" "}
            <code>hooke serve --model resnet=torchvision:resnet18</code>.
          </p>
        </Empty>
      )}
      <ul class="cards">
        {models?.map((model) => (
          <ModelCard key={model.name} model={model} />
        ))}
      </ul>
    </div>
  );
}

function ModelCard({ model }: { model: Model }) {
  const id = modelId(model.name);
  const state = STATES[model.state];
  const ready = model.state === ModelState.READY;
  return (
    <li class="card" data-state={state ?? "ready"}>
      <a href={pathOf({ model: id })}>
        <div class="card-picture">{ready && <FirstFilters model={id} />}</div>
        <h2>{id}</h2>
        <p class="source">{model.source}</p>
        {state && <p class="state">{state}</p>}
        {model.error && <p class="problem">{model.error.message}</p>}
        {ready && <p class="numbers">{summary(model)}</p>}
      </a>
    </li>
  );
}

function summary(model: Model): string {
  return `${model.layerCount} layers · ${short(model.parameterCount)} parameters · ${short(model.macs)} MACs`;
}

/** What is known of a model, as pairs. */
export function modelFacts(model: Model): [string, string][] {
  const facts: [string, string][] = [
    ["from", model.source],
    ["kind", ModelFormat[model.format]?.toLowerCase().replace("_", " ") ?? ""],
    ["takes", model.inputs.map((each) => shape(each.shape)).join(", ")],
    ["layers", String(model.layerCount)],
    ["parameters", short(model.parameterCount)],
    ["MACs", short(model.macs)],
    ["memory", bytes(model.memoryBytes)],
    ["runs on", model.device],
  ];
  if (model.parityError !== undefined)
    facts.push(["differs from ONNX Runtime by", model.parityError.toExponential(1)]);
  return facts.filter(([, value]) => value !== "");
}

/** What is known of a layer, as pairs. */
export function layerFacts(layer: Layer): [string, string][] {
  const field = layer.receptiveFields.map(({ size }) => size).join(" × ");
  const facts: [string, string][] = [
    ["operation", layer.op],
    ["shape", shape(layer.output?.shape ?? [])],
    ["units", String(layer.unitCount)],
    ["parameters", layer.parameterCount ? short(layer.parameterCount) : ""],
    ["MACs", layer.macs ? short(layer.macs) : ""],
    ["sees", field ? `${field} pixels` : ""],
  ];
  return facts.filter(([, value]) => value !== "");
}
