/** Two models as a whole: where they part, what differs in their weights, which units correspond. */

import { useSignal } from "@preact/signals";
import { go, query, withQuery } from "../address";
import { Editor } from "../edits/editor";
import { editsOf, format, message } from "../edits/notation";
import { ObservationView } from "../lens/observation";
import { WorkStatus } from "../parts/status";
import { photograph, SAMPLES } from "../pictures/photographs";
import { type Place, resourceName } from "../server/names";
import { type Server, useServer } from "../server/server";
import { useWork } from "../work/work";

interface Pair {
  readonly left: Place;
  readonly right: Place;
}

/** What can be asked of two models, and whether they run for it; the last needs a layer of each. */
const QUESTIONS = [
  { id: "activations", title: "Where do they part?", ask: activations, runs: true },
  { id: "weights", title: "What differs in their weights?", ask: weights, runs: false },
  { id: "units", title: "Which units correspond?", ask: units, runs: true },
] as const;

/** Questions as buttons, and the answer to the one that the address names. */
export function CompareModels(pair: Pair) {
  const layers = pair.left.layer !== undefined && pair.right.layer !== undefined;
  const asked = QUESTIONS.find(({ id }) => id === query.value.get("ask"));
  return (
    <section class="between" aria-label="The two as a whole">
      <h2>The two as a whole</h2>
      <p class="questions">
        {QUESTIONS.filter(({ id }) => id !== "units" || layers).map(({ id, title }) => (
          <button
            key={id}
            type="button"
            aria-pressed={id === asked?.id}
            onClick={() => go(withQuery({ ask: id }))}
          >
            {title}
          </button>
        ))}
      </p>
      {asked?.runs && (
        <details class="what-if" open={query.value.has("edit")}>
          <summary>Edit the right one</summary>
          <Editor model={pair.right.model} />
        </details>
      )}
      {asked ? (
        <Answered {...pair} question={asked} />
      ) : (
        <p class="note">Both see the sample photographs; differences are taken from the left.</p>
      )}
    </section>
  );
}

function Answered({ left, right, question }: Pair & { question: (typeof QUESTIONS)[number] }) {
  const server = useServer();
  const round = useSignal(0);
  const call = (signal: AbortSignal) => question.ask(server, { left, right }, signal);
  const places = [left, right].map(resourceName);
  const edits = question.runs ? editsOf(query.value).map(format) : [];
  const work = useWork(call, `${question.id} ${places} ${edits} ${round.value}`);
  if (work === undefined) return null;
  return (
    <>
      <ObservationView work={work} what={question.title} large />
      <WorkStatus work={work} again={() => round.value++} what={question.title} />
    </>
  );
}

const names = ({ left, right }: Pair) => ({
  reference: resourceName({ model: left.model }),
  candidate: resourceName({ model: right.model }),
});

/** What the models run on, and the edits of the right one. */
const run = async ({ right }: Pair) => ({
  inputs: await samples(),
  candidateEdits: editsOf(query.value).map((edit) => message(right.model, edit)),
});

async function activations(server: Server, pair: Pair, signal: AbortSignal) {
  const request = { ...names(pair), ...(await run(pair)) };
  return server.comparison.compareActivations(request, { signal });
}

async function weights(server: Server, pair: Pair, signal: AbortSignal) {
  return server.comparison.compareWeights(names(pair), { signal });
}

async function units(server: Server, pair: Pair, signal: AbortSignal) {
  const layerId = pair.left.layer ?? "";
  const candidateLayerId = pair.right.layer ?? layerId;
  const request = { ...names(pair), ...(await run(pair)), layerId, candidateLayerId };
  return server.comparison.matchUnits(request, { signal });
}

/** The sample photographs as one batch. */
async function samples() {
  const all = await Promise.all(SAMPLES.map(({ id }) => photograph(id)));
  const images = all.map(({ bytes }) => ({ data: bytes }));
  return [{ value: { case: "images" as const, value: { images } } }];
}
