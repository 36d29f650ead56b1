/** What a unit responds to, appearing step by step; then what it responds to least, and otherwise. */

import { query } from "../address";
import type { Technique } from "../gen/hooke/v1/technique_service_pb";
import { TechniqueForm } from "../lens/form";
import { ObservationView } from "../lens/observation";
import { useLens } from "../lens/run";
import { FailureCard, Waiting, WorkStatus } from "../parts/status";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";

const VARIANTS = [
  { title: "Weakest response", values: { sign: "negative" } },
  { title: "Four that differ", values: { pictures: "4", diversity: "1" } },
];

/** The part. */
export function UnitFeature({ place }: { place: Place }) {
  const server = useServer();
  const { value, failure, again } = useAnswer(() => server.techniquesAt(place), pathOf(place));
  if (failure) return <FailureCard failure={failure} again={again} />;
  const technique = value?.find(({ name }) => name === "feature_visualization");
  if (!technique) return <Waiting what="Feature visualization" />;
  return <Feature technique={technique} place={place} />;
}

function Feature({ technique, place }: { technique: Technique; place: Place }) {
  const values = new URLSearchParams(query.value);
  for (const name of ["tab", "photo", "lens"]) values.delete(name);
  const { work, again } = useLens({ technique, place, values });
  if (work === undefined) return null;
  return (
    <div class="feature">
      <section class="hero" aria-label="Strongest response">
        <ObservationView work={work} what="What the unit responds to" large />
        <WorkStatus work={work} again={again} what="The picture" />
      </section>
      <aside class="variants">
        {VARIANTS.map((variant) => (
          <Variant
            key={variant.title}
            technique={technique}
            place={place}
            title={variant.title}
            values={new URLSearchParams({ ...SMALL, ...variant.values })}
            ready={!work.active}
          />
        ))}
        <details class="settings">
          <summary>Change how it is made</summary>
          <TechniqueForm technique={technique} />
        </details>
      </aside>
    </div>
  );
}

const SMALL = { "ascent.steps": "192", "ascent.size": "96" };

interface VariantProps {
  readonly technique: Technique;
  readonly place: Place;
  readonly title: string;
  readonly values: URLSearchParams;
  /** Whether the large picture is finished; the variants come after it. */
  readonly ready: boolean;
}

function Variant({ technique, place, title, values, ready }: VariantProps) {
  const { work, again } = useLens(ready ? { technique, place, values } : undefined);
  return (
    <section class="variant" aria-label={title}>
      <h2>{title}</h2>
      {work ? (
        <>
          <ObservationView work={work} what={title} large={false} />
          <WorkStatus work={work} again={again} what={title} />
        </>
      ) : (
        <div class="plates">
          {Array.from({ length: Number(values.get("pictures") ?? 1) }, (_, index) => (
            <div class="plate later" key={index} />
          ))}
        </div>
      )}
    </section>
  );
}
