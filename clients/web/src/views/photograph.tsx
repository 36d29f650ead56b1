/** Show a model a picture: what it takes it for, which parts speak for that, and what if. */

import { useSignal } from "@preact/signals";
import { query } from "../address";
import type { Model } from "../gen/hooke/v1/model_service_pb";
import { Empty, FailureCard, Waiting, WorkStatus } from "../parts/status";
import { Overlay } from "../pictures/overlay";
import { AddressPicker, chosenPhotograph } from "../pictures/picker";
import { exactly, readingOf, seen } from "../pictures/reading";
import { pathOf, placeOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { useWork } from "../work/work";
import { Attribution } from "./attribution";
import { answersOf, Classes } from "./classes";
import { WhatIf } from "./what_if";

/** The view. */
export function PhotographView({ id }: { id: string }) {
  const server = useServer();
  const ask = () => server.layers(id).then(() => server.model(id));
  const { value: model, failure, again } = useAnswer(ask, id);
  return (
    <div class="page">
      <header class="title">
        <h1>
          A picture{" "}
          <span class="beside">
            through <a href={pathOf({ model: id })}>{id}</a>
          </span>
        </h1>
      </header>
      {failure && <FailureCard failure={failure} again={again} />}
      {!model && !failure && <Waiting what="The model" />}
      {model && !model.preprocessing && (
        <Empty title="This model does not look at pictures">
          <p>Send it tensors through a client instead.</p>
        </Empty>
      )}
      {model?.preprocessing && (
        <>
          <AddressPicker />
          <Answer model={model} />
        </>
      )}
    </div>
  );
}

function Answer({ model }: { model: Model }) {
  const server = useServer();
  const photo = chosenPhotograph();
  const round = useSignal(0);
  const output = placeOf(model.outputLayer);
  const call = async (signal: AbortSignal) => {
    const readout = { layerGlobs: [exactly(output?.layer ?? "")] };
    const request = await readingOf(output?.model ?? "", photo, [readout]);
    return server.activations.streamActivations(request, { signal });
  };
  const work = useWork(call, `${model.name} ${photo} ${round.value}`);
  const { value: canvas, failure } = useAnswer(() => seen(model, photo), `${photo} ${model.name}`);
  if (work === undefined || output === undefined) return null;
  const answers = answersOf(work.observation.value.tensors[0]);
  const named = Number.parseInt(query.value.get("class") ?? "", 10);
  const target = Number.isNaN(named) ? answers?.[0]?.unit : named;
  return (
    <>
      <div class="answer">
        {failure && <FailureCard failure={failure} />}
        {canvas && <Overlay seen={canvas} strength={0} label="The picture as the model sees it" />}
        <div>
          <h2>What the model takes it for</h2>
          {answers && (
            <Classes answers={answers} labels={model.classLabels} output={output} chosen={target} />
          )}
          <WorkStatus work={work} again={() => round.value++} what="The answer" />
          {answers && (
            <WhatIf
              output={{ model: output.model, layer: output.layer ?? "" }}
              photo={photo}
              labels={model.classLabels}
              before={answers}
            />
          )}
        </div>
      </div>
      {canvas && target !== undefined && (
        <Attribution
          target={{ model: output.model, layer: output.layer ?? "", unit: target }}
          canvas={canvas}
          photo={photo}
          label={model.classLabels[target] ?? `unit ${target}`}
        />
      )}
    </>
  );
}
