/** Adding an edit. */

import { useState } from "preact/hooks";
import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { type Edit, KINDS } from "./notation";

interface EditFormProps {
  readonly layers: readonly Layer[];
  readonly add: (edit: Edit) => void;
}

/** What, where, how much. */
export function EditForm({ layers, add }: EditFormProps) {
  const [kind, choose] = useState<string>(KINDS[0].kind);
  const example = KINDS.find((each) => each.kind === kind)?.value ?? "";
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const text = (name: string) => String(given.get(name) ?? "").trim();
    add({
      kind,
      value: example && (text("value") || example),
      layer: text("layer"),
      units: text("units")
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(Number),
    });
  };
  return (
    <form class="edit-form" onSubmit={submit}>
      <label class="stacked">
        Change
        <select onChange={(event) => choose(event.currentTarget.value)}>
          {KINDS.map((each) => (
            <option key={each.kind} value={each.kind} selected={each.kind === kind}>
              {each.title}
            </option>
          ))}
        </select>
      </label>
      {example !== "" && (
        <label class="stacked" key="value">
          Value
          <input
            name="value"
            placeholder={example}
            pattern="-?[\d.]+(e-?\d+)?|-?[\d.]*\.\.-?[\d.]*"
          />
        </label>
      )}
      <label class="stacked" key="layer">
        Layer
        <input name="layer" list="edit-layers" required placeholder={layers.at(-1)?.id} />
        <datalist id="edit-layers">
          {layers.map(({ id }) => (
            <option key={id} value={id} />
          ))}
        </datalist>
      </label>
      <label class="stacked" key="units">
        Units
        <input name="units" placeholder="all" pattern="\d+([\s,]+\d+)*" />
      </label>
      <button type="submit">Try it</button>
    </form>
  );
}
