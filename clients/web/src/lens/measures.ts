/** What can be measured of an attribution; whatever the contract lists is offered. */

import { EvidenceMeasure, EvidenceMeasureSchema } from "../gen/hooke/v1/evidence_pb";

/** One way to find out whether an attribution can be trusted. */
export interface Measure {
  /** As rows of the table `evidence` name it. */
  readonly name: string;
  readonly number: EvidenceMeasure;
}

/** Pointing needs the region where the thing lies, which nobody has told the page. */
const LEFT_OUT = new Set([EvidenceMeasure.UNSPECIFIED, EvidenceMeasure.POINTING]);

export const MEASURES: readonly Measure[] = EvidenceMeasureSchema.values
  .filter(({ number }) => !LEFT_OUT.has(number))
  .map(({ number, localName }) => ({ number, name: localName.toLowerCase() }));

const ALL = "all";

/** Those that an address names, in the order of the contract. */
export function measuresOf(text: string | null): readonly Measure[] {
  if (text === ALL) return MEASURES;
  const names = text?.split(",") ?? [];
  return MEASURES.filter(({ name }) => names.includes(name));
}

/** As they stand in an address. */
export const formatMeasures = (names: readonly string[]): string =>
  names.length === MEASURES.length ? ALL : names.join(",");
