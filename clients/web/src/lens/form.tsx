/** The form of a technique, built from what `ListTechniques` tells of its parameters. */

import { go, query, withQuery } from "../address";
import type { Technique } from "../gen/hooke/v1/technique_service_pb";
import { Parameters } from "./parameters";

/** Fields for all parameters; looking puts what differs from the defaults into the address. */
export function TechniqueForm({ technique }: { technique: Technique }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    go(withQuery(changes(event.currentTarget as HTMLFormElement, technique)));
  };
  return (
    <form class="lens-form" key={`${technique.name}?${query.value}`} onSubmit={submit}>
      <Parameters parameters={technique.parameters} prefix="" inherited={undefined} />
      <div class="field">
        <label for="seed">seed</label>
        <input
          id="seed"
          name="seed"
          type="number"
          min="0"
          value={query.value.get("seed") ?? ""}
          placeholder="0"
        />
      </div>
      <button type="submit" class="primary">
        Look
      </button>
    </form>
  );
}

/** What to change in the query: the fields that have a value, and of the others their names. */
function changes(form: HTMLFormElement, technique: Technique): Record<string, string | undefined> {
  const roots = new Set([...technique.parameters.map(({ name }) => name), "seed"]);
  const old = [...query.value.keys()].filter((name) => roots.has(name.split(".")[0] ?? ""));
  const cleared = Object.fromEntries(old.map((name) => [name, undefined]));
  const filled: Record<string, string> = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value !== "string" || value === "") continue;
    filled[name] = filled[name] === undefined ? value : `${filled[name]},${value}`;
  }
  return { ...cleared, ...filled };
}
