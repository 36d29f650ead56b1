/** What a stream of frames has brought so far. */

import type { Frame, Progress, Result } from "../gen/hooke/v1/frame_pb";
import { type Picture, PictureRole } from "../gen/hooke/v1/image_pb";
import type { Finding } from "../gen/hooke/v1/table_pb";
import { type Table, Tables } from "./tables";
import { type NamedTensor, TensorAssembly } from "./tensors";

/** Pictures by the place they belong to: a later one replaces an earlier. */
export interface Observation {
  readonly pictures: ReadonlyMap<string, Picture>;
  readonly tensors: readonly NamedTensor[];
  readonly tables: readonly Table[];
  readonly findings: readonly Finding[];
  readonly progress?: Progress;
  readonly result?: Result;
}

/** Before the first frame. */
export const NOTHING: Observation = {
  pictures: new Map(),
  tensors: [],
  tables: [],
  findings: [],
};

/** Collects frames; `now` is a value that no later frame changes. */
export class Collector {
  private readonly pictures = new Map<string, Picture>();
  private readonly tensors: NamedTensor[] = [];
  private readonly tables = new Tables();
  private readonly findings: Finding[] = [];
  private readonly assembly = new TensorAssembly();
  private progress: Progress | undefined;
  private result: Result | undefined;

  take({ content }: Frame): void {
    if (content.case === "progress") this.progress = content.value;
    else if (content.case === "result") this.end(content.value);
    else if (content.case === "picture") this.hang(content.value);
    else if (content.case === "tableHeader") this.tables.begin(content.value);
    else if (content.case === "tableRows") this.tables.add(content.value);
    else if (content.case === "finding") this.findings.push(content.value);
    else {
      const whole = this.assembly.take(content);
      if (whole !== undefined) this.tensors.push(whole);
    }
  }

  private hang(picture: Picture): void {
    if (isFinal(picture)) this.pictures.delete(previewKey(picture.item, picture.sample));
    this.pictures.set(keyOf(picture), picture);
  }

  private end(result: Result): void {
    this.result = result;
    for (const [key, picture] of this.pictures) if (!isFinal(picture)) this.pictures.delete(key);
  }

  get now(): Observation {
    return {
      pictures: new Map(this.pictures),
      tensors: [...this.tensors],
      tables: this.tables.now,
      findings: [...this.findings],
      ...(this.progress && { progress: this.progress }),
      ...(this.result && { result: this.result }),
    };
  }
}

/** Where a look at unfinished work hangs. It may have another name than what it becomes. */
export const previewKey = (item: number, sample = 0): string => `preview/${item}/${sample}`;

/** Where a picture hangs. */
export function keyOf(picture: Picture): string {
  const { name, item, sample } = picture;
  return isFinal(picture) ? `${name}/${item}/${sample ?? 0}` : previewKey(item, sample);
}

/** Whether it is finished. */
export function isFinal(picture: Picture): boolean {
  return picture.role === PictureRole.FINAL;
}
