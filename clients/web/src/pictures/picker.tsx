/** Choosing a photograph: one of the samples, or a file that is dropped or chosen. */

import { useState } from "preact/hooks";
import { go, query, withQuery } from "../address";
import { useAnswer } from "../work/answer";
import { adopt, photograph, SAMPLES, sampleUrl } from "./photographs";

/** The photograph that the address names, the first sample by itself. */
export const chosenPhotograph = (): string => query.value.get("photo") ?? SAMPLES[0].id;

interface PickerProps {
  readonly chosen: string;
  readonly choose: (id: string) => void;
}

/** A strip of photographs and a place to drop one. */
export function Picker({ chosen, choose }: PickerProps) {
  const [problem, setProblem] = useState("");
  const [over, setOver] = useState(false);
  const take = (files: FileList | null | undefined) => {
    const [file] = files ?? [];
    if (file === undefined) return;
    setProblem("");
    adopt(file).then(choose, (error: Error) => setProblem(error.message));
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files);
  };
  const drag = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same by keyboard
    <div
      class="picker"
      data-over={over}
      onDrop={drop}
      onDragOver={drag}
      onDragLeave={() => setOver(false)}
    >
      {SAMPLES.map(({ id, title }) => (
        <Thumb
          key={id}
          url={sampleUrl(id)}
          title={title}
          chosen={id === chosen}
          choose={() => choose(id)}
        />
      ))}
      {chosen.startsWith("file-") && <Dropped id={chosen} />}
      <label class="drop">
        <span>Drop a picture, or choose one</span>
        <input type="file" accept="image/*" onChange={(event) => take(event.currentTarget.files)} />
      </label>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

/** The picker, bound to `photo` in the address. */
export function AddressPicker() {
  return <Picker chosen={chosenPhotograph()} choose={(photo) => go(withQuery({ photo }))} />;
}

/** The picker as a field of a form. */
export function PhotographField(props: { id: string; name: string; value: string }) {
  const [chosen, choose] = useState(props.value || chosenPhotograph());
  return (
    <>
      <input type="hidden" name={props.name} value={chosen} />
      <Picker chosen={chosen} choose={choose} />
    </>
  );
}

function Thumb(props: { url: string; title: string; chosen: boolean; choose: () => void }) {
  return (
    <button
      type="button"
      class="thumb"
      aria-pressed={props.chosen}
      aria-label={props.title}
      title={props.title}
      onClick={props.choose}
    >
      <img src={props.url} alt="" />
    </button>
  );
}

function Dropped({ id }: { id: string }) {
  const { value } = useAnswer(() => photograph(id), id);
  if (value === undefined) return null;
  return <Thumb url={value.url} title={value.title} chosen choose={() => undefined} />;
}
