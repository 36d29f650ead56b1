/** Every lens that the server has, for one place. */

import { query, withOnly } from "../address";
import { type Technique, TechniqueKind } from "../gen/hooke/v1/technique_service_pb";
import { Empty, FailureCard, Waiting } from "../parts/status";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { TechniqueForm } from "./form";
import { LensRun } from "./run";

/** A list of lenses, the form of the chosen one, and what it shows. */
export function LensPanel({ place }: { place: Place }) {
  const server = useServer();
  const { value, failure, again } = useAnswer(() => server.techniquesAt(place), pathOf(place));
  if (failure) return <FailureCard failure={failure} again={again} />;
  if (!value) return <Waiting what="The list of lenses" />;
  const lenses = value.filter(({ kind }) => kind === TechniqueKind.VISUALIZATION);
  const chosen = lenses.find(({ name }) => name === query.value.get("lens"));
  return (
    <div class="lens-panel">
      <nav class="lenses" aria-label="Lenses">
        {lenses.map((lens) => (
          <LensLink key={lens.name} lens={lens} chosen={lens === chosen} />
        ))}
      </nav>
      {chosen ? (
        <ChosenLens technique={chosen} place={place} />
      ) : (
        <Empty title="Choose a lens">
          <p>Each shows this place in another way. Those that do not fit it say why.</p>
        </Empty>
      )}
    </div>
  );
}

function LensLink({ lens, chosen }: { lens: Technique; chosen: boolean }) {
  const reason = lens.applicability?.reason;
  if (reason)
    return (
      <span class="lens-off" title={reason}>
        {lens.title}
        <small>{reason}</small>
      </span>
    );
  return (
    <a href={lensHref(lens.name)} aria-current={chosen ? "true" : undefined}>
      {lens.title}
    </a>
  );
}

/** The present place through another lens, with none of the last one's parameters. */
const lensHref = (lens: string): string => withOnly(["tab", "photo"], { lens });

/** The form beside what it makes. It runs once the form was sent, or nothing is required. */
function ChosenLens({ technique, place }: { technique: Technique; place: Place }) {
  const ready = technique.parameters.every(
    ({ name, defaultValue }) => defaultValue !== undefined || query.value.has(name),
  );
  return (
    <div class="lens">
      <header>
        <h2>{technique.title}</h2>
        <p>{technique.description.split("\n\n")[0]}</p>
        <p class="source">{technique.source}</p>
      </header>
      <TechniqueForm technique={technique} />
      {ready ? (
        <LensRun large technique={technique} place={place} values={lensValues()} />
      ) : (
        <p class="note">Choose what it needs, then look.</p>
      )}
    </div>
  );
}

/** The query without what is not the lens's. */
function lensValues(): URLSearchParams {
  const values = new URLSearchParams(query.value);
  for (const name of ["tab", "lens", "photo"]) values.delete(name);
  return values;
}
