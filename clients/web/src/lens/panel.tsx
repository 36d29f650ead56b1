/** Every lens that the server has, for one place. */

import { query, withOnly } from "../address";
import { type Technique, TechniqueKind } from "../gen/hooke/v1/technique_service_pb";
import { Empty, FailureCard, Waiting } from "../parts/status";
import { useStrip } from "../parts/strip";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { TechniqueForm } from "./form";
import { isReady } from "./message";
import { LensRun } from "./run";

/** A list of lenses, the form of the chosen one, and what it shows. */
export function LensPanel({ place }: { place: Place }) {
  const server = useServer();
  const { value, failure, again } = useAnswer(() => server.techniquesAt(place), pathOf(place));
  if (failure) return <FailureCard failure={failure} again={again} />;
  if (!value) return <Waiting what="The list of lenses" />;
  return <Lenses place={place} lenses={value.filter(isLens)} />;
}

const isLens = ({ kind }: Technique): boolean => kind === TechniqueKind.VISUALIZATION;

function Lenses({ place, lenses }: { place: Place; lenses: readonly Technique[] }) {
  const fitting = lenses.filter(({ applicability }) => applicability?.applicable);
  const chosen = lenses.find(({ name }) => name === query.value.get("lens"));
  const strip = useStrip(chosen?.name);
  return (
    <div class="lens-panel">
      <nav ref={strip} class="lenses" aria-label="Lenses">
        {fitting.map(({ name, title }) => (
          <a
            key={name}
            href={lensHref(name)}
            aria-current={name === chosen?.name ? "true" : undefined}
          >
            {title}
          </a>
        ))}
        <Unfit lenses={lenses.filter((lens) => !fitting.includes(lens))} />
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

interface UnfitProps {
  readonly lenses: readonly Technique[];
  readonly reasonOf?: (lens: Technique) => string;
}

/** Those that do not fit the place, and why. */
export function Unfit({ lenses, reasonOf = reasonAt }: UnfitProps) {
  const byReason = Map.groupBy(lenses, reasonOf);
  return (
    <>
      {[...byReason].map(([reason, group]) => (
        <div class="lens-off" key={reason}>
          {group.map(({ title }) => title).join(", ")}
          <small>{reason}</small>
        </div>
      ))}
    </>
  );
}

/** Why a lens does not fit the place. */
export const reasonAt = ({ applicability }: Technique): string => applicability?.reason ?? "";

/** The present place through another lens, with none of the last one's parameters. */
const lensHref = (lens: string): string => withOnly(["tab", "photo"], { lens });

/** The form beside what it makes. It runs once the form was sent, or nothing is required. */
function ChosenLens({ technique, place }: { technique: Technique; place: Place }) {
  const ready = isReady(technique, query.value);
  return (
    <div class="lens">
      <header>
        <h2>{technique.title}</h2>
        <p>{technique.description.split("\n\n")[0]}</p>
        <p class="source">{technique.source}</p>
      </header>
      {ready && <LensRun large technique={technique} place={place} values={lensValues()} />}
      <details class="settings" open={!ready}>
        <summary>{ready ? "Change how it is made" : "Choose what it needs, then look"}</summary>
        <TechniqueForm technique={technique} />
      </details>
    </div>
  );
}

/** The query without what is not the lens's. */
function lensValues(): URLSearchParams {
  const values = new URLSearchParams(query.value);
  for (const name of ["tab", "lens", "photo"]) values.delete(name);
  return values;
}
