import { lost } from "./errors.js";
import type { Frame as WireFrame } from "./gen/hooke/v1/frame_pb.js";
import { Assembler, type Tensor } from "./tensor.js";

type TensorPart = "tensorHeader" | "tensorChunk" | "tensorTrailer";

/**
 * What a call that computes yields: a `tensor`, or any other content of the contract's `Frame`
 * (`progress`, `picture`, `checkpoint`, ...); a `result` is last.
 */
export type Frame =
  | Exclude<WireFrame["content"], { case: TensorPart | undefined }>
  | { case: "tensor"; value: Tensor };

/**
 * Checks a stream and joins the chunks of its tensors.
 *
 * Sequence numbers have no gap, tensors come whole and unchanged, and a `result` is last; what
 * breaks this is a `HookeError` of code `DATA_LOSS`. Kinds of frames that this client does not
 * know are left out.
 */
export async function* readFrames(messages: AsyncIterable<WireFrame>): AsyncGenerator<Frame> {
  const reader = new Reader();
  for await (const message of messages) {
    const frame = reader.read(message);
    if (frame) yield frame;
  }
  reader.end();
}

class Reader {
  #sequence = 0n;
  #tensor: Assembler | undefined;
  #finished = false;

  /** The frame that a message completes, if it does. */
  read({ sequence, content }: WireFrame): Frame | undefined {
    this.#sequence += 1n;
    if (sequence !== this.#sequence) {
      throw lost(`message ${this.#sequence} of the stream is lost: got ${sequence}`);
    }
    switch (content.case) {
      case "tensorHeader":
        if (this.#tensor) throw lost("a tensor began before the last one had ended");
        this.#tensor = new Assembler(content.value);
        return undefined;
      case "tensorChunk":
        this.#open().add(content.value);
        return undefined;
      case "tensorTrailer": {
        const value = this.#open().finish(content.value);
        this.#tensor = undefined;
        return { case: "tensor", value };
      }
      case undefined:
        return undefined;
      default:
        this.#finished = content.case === "result";
        return content;
    }
  }

  end(): void {
    if (this.#tensor) throw lost("the stream was cut off inside a tensor");
    if (!this.#finished) throw lost("the stream was cut off before its result");
  }

  #open(): Assembler {
    if (!this.#tensor) throw lost("bytes of a tensor came without its header");
    return this.#tensor;
  }
}
