/** What would the model say if some of its units were silent, or louder? */

import { useSignal } from "@preact/signals";
import { query } from "../address";
import { Editor } from "../edits/editor";
import { type Edit, editsOf, format, message } from "../edits/notation";
import { percent } from "../parts/numbers";
import { WorkStatus } from "../parts/status";
import { exactly, readingOf } from "../pictures/reading";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useWork } from "../work/work";
import { type Answer, answersOf } from "./classes";

interface WhatIfProps {
  readonly output: Required<Omit<Place, "unit">>;
  readonly photo: string;
  readonly labels: readonly string[];
  /** What the model says by itself. */
  readonly before: readonly Answer[];
}

/** The edits of the address, a form for more, and how the answer changes. */
export function WhatIf(props: WhatIfProps) {
  const edits = editsOf(query.value);
  return (
    <section class="what-if" aria-label="What if">
      <h2>What if</h2>
      <Editor model={props.output.model} />
      {edits.length > 0 ? (
        <Changed {...props} edits={edits} />
      ) : (
        <p class="note">
          Silence units, or make them louder, and see how the answer changes. The model stays as it
          is: an edit holds for one call.
        </p>
      )}
    </section>
  );
}

/** The address of the model beside itself with the edits. */
function downstream(model: string, edits: readonly Edit[]): string {
  const place = pathOf({ model });
  const asked = new URLSearchParams({ left: place, right: place, ask: "activations" });
  for (const edit of edits) asked.append("edit", format(edit));
  return `/compare?${asked}`;
}

function Changed({
  output,
  photo,
  labels,
  before,
  edits,
}: WhatIfProps & { edits: readonly Edit[] }) {
  const server = useServer();
  const round = useSignal(0);
  const call = async (signal: AbortSignal) => {
    const request = await readingOf(
      output.model,
      photo,
      [{ layerGlobs: [exactly(output.layer)] }],
      edits.map((edit) => message(output.model, edit)),
    );
    return server.activations.streamActivations(request, { signal });
  };
  const work = useWork(call, `${photo} ${edits.map(format)} ${round.value}`);
  if (work === undefined) return null;
  const after = answersOf(work.observation.value.tensors[0]);
  return (
    <>
      {after && <Changes before={before} after={after} labels={labels} />}
      <WorkStatus work={work} again={() => round.value++} what="The changed answer" />
      <p>
        <a href={downstream(output.model, edits)}>What does it change downstream?</a>
      </p>
    </>
  );
}

const SHOWN = 5;

/** The most likely classes of both answers, with the change of each in percentage points. */
function Changes(props: {
  before: readonly Answer[];
  after: readonly Answer[];
  labels: readonly string[];
}) {
  const { before, after, labels } = props;
  const old = new Map(before.map(({ unit, share }) => [unit, share]));
  const first = new Set(before.slice(0, SHOWN).map(({ unit }) => unit));
  const shown = after.filter(({ unit }, rank) => rank < SHOWN || first.has(unit));
  return (
    <table class="changes">
      <thead>
        <tr>
          <th scope="col">class</th>
          <th scope="col">
            <span class="visually-hidden">bars</span>
          </th>
          <th scope="col">before</th>
          <th scope="col">with it</th>
          <th scope="col">change</th>
        </tr>
      </thead>
      <tbody>
        {shown.map(({ unit, share }) => {
          const was = old.get(unit) ?? 0;
          return (
            <tr key={unit}>
              <th scope="row">{labels[unit] ?? `unit ${unit}`}</th>
              <td class="bars">
                <span class="was" style={{ width: `${100 * was}%` }} />
                <span class="is" style={{ width: `${100 * share}%` }} />
              </td>
              <td>{percent(was)}</td>
              <td>{percent(share)}</td>
              <td data-sign={Math.sign(share - was)}>{points(share - was)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** +12.3, in percentage points. */
function points(change: number): string {
  const size = Math.abs(100 * change).toFixed(1);
  return size === "0.0" ? size : `${change < 0 ? "−" : "+"}${size}`;
}
