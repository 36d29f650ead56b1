/** A model: its graph, and beside it the table of its layers. */

import { go, query, withQuery } from "../address";
import { Graph } from "../graph/graph";
import { Facts } from "../parts/facts";
import { FailureCard, Waiting } from "../parts/status";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { LayerTable } from "./layer_table";
import { modelFacts } from "./models";

/** Graph and table; on a narrow screen one at a time. */
export function ModelView({ id }: { id: string }) {
  const server = useServer();
  const { value: layers, failure, again } = useAnswer(() => server.layers(id), `layers ${id}`);
  const { value: model } = useAnswer(() => server.model(id), `model ${id} ${layers !== undefined}`);
  const side = query.value.get("side") ?? "graph";
  return (
    <div class="page wide">
      <header class="title">
        <h1>{id}</h1>
        {model && <Facts facts={modelFacts(model)} />}
        <nav class="actions" aria-label="What to do with the model">
          <a class="button primary" href={`/models/${encodeURIComponent(id)}/photograph`}>
            Show it a picture
          </a>
        </nav>
      </header>
      {model?.notes.map((note) => (
        <p key={note} class="note">
          {note}
        </p>
      ))}
      {failure && <FailureCard failure={failure} again={again} />}
      {!layers && !failure && <Waiting what="The structure" />}
      {layers && (
        <>
          <div class="sides" role="group" aria-label="Show">
            {["graph", "table"].map((each) => (
              <button
                key={each}
                type="button"
                aria-pressed={each === side}
                onClick={() => go(withQuery({ side: each }), { replace: true })}
              >
                {each}
              </button>
            ))}
          </div>
          <div class="structure" data-side={side}>
            <Graph model={id} layers={layers} />
            <LayerTable model={id} layers={layers} />
          </div>
        </>
      )}
    </div>
  );
}
