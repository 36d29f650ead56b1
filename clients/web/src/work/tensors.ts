/** Tensors from their chunks, checked against their digest. */

import type { Frame } from "../gen/hooke/v1/frame_pb";
import { DataType, type TensorHeader } from "../gen/hooke/v1/tensor_pb";
import { crc32c } from "./crc32c";

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array | Int8Array;

/** A tensor with its name and place. */
export interface NamedTensor {
  readonly name: string;
  readonly layer: string;
  readonly item: number;
  readonly shape: readonly number[];
  readonly axes: readonly string[];
  readonly values: Numbers;
}

const READERS: Partial<Record<DataType, (bytes: ArrayBuffer) => Numbers>> = {
  [DataType.FP32]: (bytes) => new Float32Array(bytes),
  [DataType.FP64]: (bytes) => new Float64Array(bytes),
  [DataType.INT32]: (bytes) => new Int32Array(bytes),
  [DataType.INT64]: (bytes) => Float64Array.from(new BigInt64Array(bytes), Number),
  [DataType.UINT8]: (bytes) => new Uint8Array(bytes),
  [DataType.INT8]: (bytes) => new Int8Array(bytes),
  [DataType.BOOL]: (bytes) => new Uint8Array(bytes),
};

/** Takes header, chunks and trailer of one tensor after another. */
export class TensorAssembly {
  private header: TensorHeader | undefined;
  private bytes = new Uint8Array();

  /** The tensor, when the frame closes it. */
  take(content: Frame["content"]): NamedTensor | undefined {
    if (content.case === "tensorHeader") {
      this.header = content.value;
      this.bytes = new Uint8Array(Number(content.value.totalBytes));
    } else if (content.case === "tensorChunk") {
      this.bytes.set(content.value.data, Number(content.value.offset));
    } else if (content.case === "tensorTrailer" && this.header !== undefined) {
      if (crc32c(this.bytes) !== content.value.crc32c)
        throw new Error(`the tensor '${this.header.name}' was damaged on its way`);
      return named(this.header, this.bytes.buffer);
    }
    return undefined;
  }
}

function named(header: TensorHeader, bytes: ArrayBuffer): NamedTensor {
  const read = READERS[header.dtype];
  if (read === undefined) throw new Error(`the page cannot read ${DataType[header.dtype]} tensors`);
  return {
    name: header.name,
    layer: header.layer,
    item: header.item,
    shape: header.shape.map(Number),
    axes: header.axes,
    values: read(bytes),
  };
}
