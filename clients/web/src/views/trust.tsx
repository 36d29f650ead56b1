/** Whether an attribution can be trusted: what is measured of it, on request, since it takes time. */

import { useSignal } from "@preact/signals";
import { go, query, withQuery } from "../address";
import type { AttributeRequest } from "../gen/hooke/v1/attribution_service_pb";
import { EVIDENCE, EvidenceView } from "../lens/evidence";
import { formatMeasures, MEASURES, type Measure, measuresOf } from "../lens/measures";
import { words } from "../lens/parameters";
import { evidenceRequest } from "../lens/request";
import { WorkStatus } from "../parts/status";
import { useServer } from "../server/server";
import { useWork } from "../work/work";

interface TrustProps {
  /** The request that was answered; it is asked again with evidence. */
  readonly request: () => Promise<AttributeRequest>;
  /** What is asked, to tell one question from another. */
  readonly question: string;
  /** The method. */
  readonly title: string;
}

/** The section. */
export function Trust(props: TrustProps) {
  const asked = measuresOf(query.value.get("evidence"));
  return (
    <section class="trust" aria-label="Can it be trusted?">
      <h3>Can it be trusted?</h3>
      {asked.length > 0 ? (
        <Measured {...props} asked={asked} />
      ) : (
        <>
          <p class="note">
            Take away what it points at and put it back, disturb the picture, shuffle the weights:
            an answer that tells of this model notices the one and not the other. The method is
            asked many times for that.
          </p>
          <Choice asked={MEASURES} />
        </>
      )}
    </section>
  );
}

function Measured({ request, question, title, asked }: TrustProps & { asked: readonly Measure[] }) {
  const server = useServer();
  const round = useSignal(0);
  const call = async (signal: AbortSignal) =>
    server.attribution.attribute(evidenceRequest(await request(), asked), { signal });
  const names = asked.map(({ name }) => name);
  const work = useWork(call, `${question} ${names} ${round.value}`);
  if (work === undefined) return null;
  const { tables } = work.observation.value;
  const done = tables.find(({ name }) => name === EVIDENCE)?.rows.length ?? 0;
  return (
    <>
      <WorkStatus
        work={work}
        again={() => round.value++}
        what="Evidence"
        parts={{ done, total: asked.length, name: "measures" }}
      />
      <EvidenceView observation={work.observation.value} what={title} />
      <Choice asked={asked} again />
    </>
  );
}

/** Which measures; sending it puts them into the address. */
function Choice({ asked, again = false }: { asked: readonly Measure[]; again?: boolean }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const names = form.getAll("measure").map(String);
    go(withQuery({ evidence: formatMeasures(names) }));
  };
  const button = (
    <button type="submit" class={again ? "" : "primary"}>
      {again ? "Measure these" : "Measure it"}
    </button>
  );
  return (
    <form class="measures" onSubmit={submit}>
      {!again && button}
      <details>
        <summary>{again ? "Measure something else" : "Choose what is measured"}</summary>
        <fieldset>
          <legend class="visually-hidden">What is measured</legend>
          {MEASURES.map((measure) => (
            <label key={measure.name}>
              <input
                type="checkbox"
                name="measure"
                value={measure.name}
                defaultChecked={asked.includes(measure)}
              />
              {words(measure.name)}
            </label>
          ))}
        </fieldset>
        {again && button}
      </details>
    </form>
  );
}
