import { crc32c } from "@node-rs/crc32";

import { lost } from "./errors.js";
import {
  DataType,
  type TensorChunk,
  type TensorHeader,
  type TensorTrailer,
} from "./gen/hooke/v1/tensor_pb.js";
import { layerId } from "./requests.js";

const ELEMENT_BYTES: Partial<Record<DataType, number>> = {
  [DataType.BOOL]: 1,
  [DataType.UINT8]: 1,
  [DataType.INT8]: 1,
  [DataType.UINT16]: 2,
  [DataType.INT16]: 2,
  [DataType.FP16]: 2,
  [DataType.BF16]: 2,
  [DataType.UINT32]: 4,
  [DataType.INT32]: 4,
  [DataType.FP32]: 4,
  [DataType.UINT64]: 8,
  [DataType.INT64]: 8,
  [DataType.FP64]: 8,
};

/**
 * What a server sent as header, chunks and trailer. Its bytes are little-endian and C-contiguous,
 * and their CRC-32C has been checked.
 */
export class Tensor {
  constructor(
    readonly header: TensorHeader,
    readonly data: Uint8Array,
  ) {}

  /** The plain id of the tensor's layer; empty for a model's input. */
  get layer(): string {
    return layerId(this.header.layer);
  }

  get shape(): number[] {
    return this.header.shape.map(Number);
  }

  /** The checksum of the tensor's bytes. */
  get crc32c(): number {
    return crc32c(this.data);
  }

  /** The element type as NumPy says it: `float32`. */
  get dtype(): string {
    const name = DataType[this.header.dtype].toLowerCase();
    return name.replace(/^fp/, "float").replace(/^bf/, "bfloat");
  }

  /**
   * The elements of a tensor of FP32, or of one that is quantized to UINT8 as the real values that
   * its integers stand for; a TypeError for other types.
   */
  float32s(): Float32Array {
    const { dtype, quantization } = this.header;
    if (dtype === DataType.FP32) {
      const view = new DataView(this.data.buffer, this.data.byteOffset, this.data.byteLength);
      const at = (_: unknown, n: number) => view.getFloat32(4 * n, true);
      return Float32Array.from({ length: this.data.length / 4 }, at);
    }
    if (dtype === DataType.UINT8 && quantization) {
      return Float32Array.from(
        this.data,
        (each) => quantization.scale * each + quantization.offset,
      );
    }
    throw new TypeError(`a tensor of ${this.dtype} holds no float32`);
  }
}

/** Joins the chunks of one tensor and checks them. */
export class Assembler {
  readonly #header: TensorHeader;
  readonly #data: Uint8Array;
  #received = 0;
  #crc = 0;

  /** Begins a tensor; a header whose sizes contradict each other is refused. */
  constructor(header: TensorHeader) {
    const { dtype, shape, totalBytes } = header;
    const size = ELEMENT_BYTES[dtype];
    if (!size) throw lost(`the server sent a tensor of the unknown element type ${dtype}`);
    if (shape.some((extent) => extent < 0n)) {
      throw lost(`a tensor cannot have the shape [${shape}]`);
    }
    if (totalBytes !== shape.reduce((product, extent) => product * extent, BigInt(size))) {
      throw lost(`a tensor [${shape}] of ${DataType[dtype]} cannot have ${totalBytes} bytes`);
    }
    this.#header = header;
    this.#data = allocated(totalBytes);
  }

  /** Puts the next bytes in place. */
  add({ tensorId, offset, data }: TensorChunk): void {
    const end = this.#received + data.length;
    const expected = tensorId === this.#header.tensorId && offset === BigInt(this.#received);
    if (!expected || end > this.#data.length) {
      const place = `tensor ${this.#header.tensorId} from ${this.#received} on`;
      throw lost(
        `expected bytes of ${place}, at most to ${this.#data.length}; ` +
          `got ${data.length} of tensor ${tensorId} from ${offset}`,
      );
    }
    this.#data.set(data, this.#received);
    this.#crc = crc32c(data, this.#crc);
    this.#received = end;
  }

  /** The tensor, if all that was sent has arrived as it was sent. */
  finish({ tensorId, totalBytes, crc32c: sent }: TensorTrailer): Tensor {
    const whole = totalBytes === BigInt(this.#received) && this.#received === this.#data.length;
    if (tensorId !== this.#header.tensorId || !whole) {
      const told = `${this.#received} of ${this.#data.length} bytes`;
      throw lost(`tensor ${this.#header.tensorId} ended after ${told}`);
    }
    if (sent !== this.#crc) {
      const sums = `CRC-32C ${hexadecimal(this.#crc)} instead of ${hexadecimal(sent)}`;
      throw lost(`the bytes of tensor ${tensorId} are not those that were sent: ${sums}`);
    }
    return new Tensor(this.#header, this.#data);
  }
}

function allocated(bytes: bigint): Uint8Array {
  try {
    return new Uint8Array(Number(bytes));
  } catch (cause) {
    throw new RangeError(`a tensor of ${bytes} bytes does not fit into one array`, { cause });
  }
}

function hexadecimal(checksum: number): string {
  return checksum.toString(16).padStart(8, "0");
}
