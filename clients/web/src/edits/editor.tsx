/** The edits of the address: what they are, a way to take each back, a form for more. */

import { go, query, withEach } from "../address";
import { useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { EditForm } from "./form";
import { describe, type Edit, editsOf, format } from "./notation";

/** For edits of a model. */
export function Editor({ model }: { model: string }) {
  const server = useServer();
  const { value: layers } = useAnswer(() => server.layers(model), model);
  const edits = editsOf(query.value);
  const change = (changed: readonly Edit[]) => go(withEach("edit", changed.map(format)));
  return (
    <>
      {edits.length > 0 && (
        <ul class="chips">
          {edits.map((edit, index) => (
            <li key={`${index} ${format(edit)}`}>
              {describe(edit)}
              <button
                type="button"
                aria-label={`Take back: ${describe(edit)}`}
                onClick={() => change(edits.filter((each) => each !== edit))}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <EditForm layers={layers ?? []} add={(edit) => change([...edits, edit])} />
    </>
  );
}
