/** Which method is asked, and where it looks. */

import { go, query, withOnly, withQuery } from "../address";
import { type Layer, LayerKind } from "../gen/hooke/v1/model_service_pb";
import type { Technique } from "../gen/hooke/v1/technique_service_pb";

/** Names of the query that stay when another method is chosen. */
const KEPT = ["photo", "class", "at", "edit"];

interface ChoicesProps {
  readonly methods: readonly Technique[];
  readonly method: Technique;
  readonly places: readonly Layer[];
  /** Where it looks if nobody says. */
  readonly usual: string;
}

/** Two lists. */
export function MethodChoices({ methods, method, places, usual }: ChoicesProps) {
  const chooseMethod = (name: string) => go(withOnly(KEPT, { method: name }));
  const chooseLayer = (id: string) => go(withQuery({ at: id }));
  const at = query.value.get("at");
  return (
    <div class="choices">
      <label class="stacked">
        Method
        <select onChange={(event) => chooseMethod(event.currentTarget.value)}>
          {methods.map(({ name, title }) => (
            <option key={name} value={name} selected={name === method.name}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <label class="stacked">
        At
        <select onChange={(event) => chooseLayer(event.currentTarget.value)}>
          <option value="">{usual}</option>
          {places.map(({ id, kind }) => (
            <option key={id} value={id} selected={id === at}>
              {kind === LayerKind.INPUT ? "the picture itself" : id}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

/** The layers that are looked at, none where the method looks by itself, and how that is told. */
interface Looks {
  readonly layers: readonly string[];
  readonly usual: string;
}

/**
 * Where the address says, or else where a method looks usually.
 *
 * A method that changes one part after another would by itself look at the picture, whose parts
 * are as many as its pixels, and which as a whole is all there is.
 */
export function questioned(
  method: Technique,
  values: URLSearchParams,
  places: readonly Layer[],
): Looks {
  const usual = usually(method, values, places);
  const at = values.get("at");
  return at ? { ...usual, layers: [at] } : usual;
}

function usually(
  { parameters }: Technique,
  values: URLSearchParams,
  places: readonly Layer[],
): Looks {
  const part = parameters.find(({ name }) => name === "part");
  const inner = places.filter(({ kind }) => kind !== LayerKind.INPUT);
  const last = inner.at(-1);
  if (last === undefined || part === undefined)
    return { layers: [], usual: "where the method looks by itself" };
  if ((values.get("part") ?? part.defaultValue?.value.value) === "layer") {
    const leaves = inner.filter(({ kind }) => kind !== LayerKind.BLOCK);
    return { layers: leaves.map(({ id }) => id), usual: "one layer after another" };
  }
  return { layers: [last.id], usual: `${last.id}, the last with places` };
}

/** Rows and columns, and more than one of each; of what is inside a module only the larger parts. */
export function hasPlaces({ output, kind, macs }: Layer): boolean {
  const [, , rows, columns] = output?.shape ?? [];
  const map =
    output?.shape.length === 4 && Number(rows?.size ?? 0) * Number(columns?.size ?? 0) > 1;
  return map && (kind === LayerKind.INPUT || macs > 0n);
}
