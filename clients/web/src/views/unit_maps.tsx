/** The units of a layer, those that say most to a photograph first. */

import { useMemo } from "preact/hooks";
import { decimal } from "../parts/numbers";
import { type Place, pathOf } from "../server/names";
import type { Observation } from "../work/observation";
import { UnitTiles } from "./unit_tiles";

/** Their maps, cut from one picture; or their values where a layer has no rows and columns. */
export function UnitMaps(props: { place: Place; seen: Observation; photo: string }) {
  const { place, seen, photo } = props;
  const sheet = [...seen.pictures.values()].find(({ name }) => name === "feature_maps");
  const means = seen.tensors.find(({ item }) => item === 0);
  const ranked = useMemo(() => (means ? rank(means.values) : []), [means]);
  const link = (unit: number) => `${pathOf({ ...place, unit })}?tab=photograph&photo=${photo}`;
  if (sheet === undefined) return <Values ranked={ranked.slice(0, 48)} link={link} />;
  const scale = sheet.caption.split(": ").at(-1);
  return (
    <>
      <h2>Its strongest units</h2>
      <UnitTiles sheet={sheet} link={link} />
      {scale && <p class="numbers">{scale}</p>}
    </>
  );
}

function Values({ ranked, link }: { ranked: readonly Ranked[]; link: (unit: number) => string }) {
  if (ranked.length === 0) return null;
  return (
    <>
      <h2>Its strongest units</h2>
      <ol class="values">
        {ranked.map(({ unit, value }) => (
          <li key={unit}>
            <a href={link(unit)}>unit {unit}</a>
            <span class="numbers">{decimal(value)}</span>
          </li>
        ))}
      </ol>
    </>
  );
}

interface Ranked {
  readonly unit: number;
  readonly value: number;
}

/** From the largest to the smallest. */
export function rank(values: ArrayLike<number>): Ranked[] {
  return Array.from(values, (value, unit) => ({ unit, value })).sort((a, b) => b.value - a.value);
}
