/** What a stream of frames has brought so far. */

import type { Frame, Progress, Result } from "../gen/hooke/v1/frame_pb";
import { type Picture, PictureRole } from "../gen/hooke/v1/image_pb";
import { type NamedTensor, TensorAssembly } from "./tensors";

/** Pictures by the place they belong to: a later one replaces an earlier. */
export interface Observation {
  readonly pictures: ReadonlyMap<string, Picture>;
  readonly tensors: readonly NamedTensor[];
  readonly progress?: Progress;
  readonly result?: Result;
}

/** Before the first frame. */
export const NOTHING: Observation = { pictures: new Map(), tensors: [] };

/** Collects frames; `now` is a value that no later frame changes. */
export class Collector {
  private readonly pictures = new Map<string, Picture>();
  private readonly tensors: NamedTensor[] = [];
  private readonly assembly = new TensorAssembly();
  private progress: Progress | undefined;
  private result: Result | undefined;

  take({ content }: Frame): void {
    if (content.case === "progress") this.progress = content.value;
    else if (content.case === "result") this.result = content.value;
    else if (content.case === "picture") this.pictures.set(keyOf(content.value), content.value);
    else {
      const whole = this.assembly.take(content);
      if (whole !== undefined) this.tensors.push(whole);
    }
  }

  get now(): Observation {
    return {
      pictures: new Map(this.pictures),
      tensors: [...this.tensors],
      ...(this.progress && { progress: this.progress }),
      ...(this.result && { result: this.result }),
    };
  }
}

/** The place of a picture in its stream; previews are named as what they become. */
export function keyOf(picture: Picture): string {
  return `${picture.name}/${picture.item}/${picture.sample ?? 0}`;
}

/** Whether it is finished. */
export function isFinal(picture: Picture): boolean {
  return picture.role === PictureRole.FINAL;
}
