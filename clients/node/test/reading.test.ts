/** Streams and errors are read as the contract says, and broken ones are refused. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { FrameSchema } from "../src/gen/hooke/v1/frame_pb.js";
import { DataType, TensorHeaderSchema } from "../src/gen/hooke/v1/tensor_pb.js";
import {
  Assembler,
  type Frame,
  HookeError,
  layerId,
  layerName,
  modelId,
  readFrames,
  Tensor,
} from "../src/index.js";

type Content = MessageInitShape<typeof FrameSchema>["content"];

// RFC 3720's check value of CRC-32C is that of these nine bytes.
const DIGITS = "123456789";
const CHECK = 0xe3069283;
const result: Content = { case: "result", value: {} };

function header(totalBytes: number): Content {
  const value = {
    tensorId: 1n,
    dtype: DataType.UINT8,
    shape: [9n],
    totalBytes: BigInt(totalBytes),
  };
  return { case: "tensorHeader", value };
}

function chunk(offset: number, data: string): Content {
  const value = { tensorId: 1n, offset: BigInt(offset), data: new TextEncoder().encode(data) };
  return { case: "tensorChunk", value };
}

function trailer(crc32c: number): Content {
  return { case: "tensorTrailer", value: { tensorId: 1n, totalBytes: 9n, crc32c } };
}

async function read(contents: Content[], first = 1): Promise<Frame[]> {
  async function* messages() {
    for (const [n, content] of contents.entries()) {
      yield create(FrameSchema, {
        sequence: BigInt(n + first),
        content: content ?? { case: undefined },
      });
    }
  }
  const frames = [];
  for await (const frame of readFrames(messages())) frames.push(frame);
  return frames;
}

function refused(contents: Content[], said: string, first = 1) {
  return assert.rejects(read(contents, first), (error) => {
    assert(error instanceof HookeError);
    assert.equal(error.code, "DATA_LOSS");
    assert(error.message.includes(said), error.message);
    return true;
  });
}

test("chunks become the tensor", async () => {
  const parts = [
    header(9),
    chunk(0, DIGITS.slice(0, 4)),
    chunk(4, DIGITS.slice(4)),
    trailer(CHECK),
  ];
  // `undefined` is a frame of a kind that this client does not know.
  const [first, second] = await read([...parts, undefined, result]);
  assert(first?.case === "tensor" && second?.case === "result");
  assert.equal(new TextDecoder().decode(first.value.data), DIGITS);
  assert.equal(first.value.crc32c, CHECK);
  assert.equal(first.value.dtype, "uint8");
});

test("broken streams are refused", async () => {
  const whole = chunk(0, DIGITS);
  await refused(
    [header(9), chunk(0, "923456781"), trailer(CHECK), result],
    "not those that were sent",
  );
  await refused([header(9), whole], "cut off inside a tensor");
  await refused([header(9), header(9)], "before the last one had ended");
  await refused([header(9), chunk(4, DIGITS.slice(4))], "expected bytes of tensor 1 from 0");
  await refused([header(9), chunk(0, `${DIGITS}0`)], "at most to 9");
  await refused(
    [header(9), chunk(0, DIGITS.slice(0, 4)), trailer(CHECK)],
    "ended after 4 of 9 bytes",
  );
  await refused([whole], "without its header");
  await refused([trailer(CHECK)], "without its header");
  await refused([header(8)], "cannot have 8 bytes");
  await refused([header(9), whole, trailer(CHECK)], "before its result");
  await refused([], "before its result");
  await refused([result], "message 1 of the stream is lost: got 2", 2);
});

test("shapes that mean nothing are refused", () => {
  const negative = create(TensorHeaderSchema, {
    dtype: DataType.UINT8,
    shape: [-1n, -9n],
    totalBytes: 9n,
  });
  assert.throws(() => new Assembler(negative), { code: "DATA_LOSS" });
  const vast = { dtype: DataType.UINT8, shape: [1n << 40n], totalBytes: 1n << 40n };
  assert.throws(() => new Assembler(create(TensorHeaderSchema, vast)), RangeError);
});

test("errors carry what the server said", () => {
  const field = { field: "ascent.steps", description: "must be larger" };
  const cause = new ConnectError("steps must be larger", Code.InvalidArgument, undefined, [
    { desc: ErrorInfoSchema, value: { domain: "elsewhere", reason: "OTHER" } },
    {
      desc: ErrorInfoSchema,
      value: { domain: "hooke", reason: "INVALID_FIELD", metadata: { a: "b" } },
    },
    { desc: BadRequestSchema, value: { fieldViolations: [field] } },
  ]);
  const error = HookeError.from(cause);
  assert.equal(error.code, "INVALID_ARGUMENT");
  assert.equal(error.message, "steps must be larger");
  assert.equal(error.reason, "INVALID_FIELD");
  assert.deepEqual(error.metadata, { a: "b" });
  assert.deepEqual(error.fieldViolations, { "ascent.steps": "must be larger" });
  assert.equal(error.cause, cause);
  assert.equal(HookeError.from(new ConnectError("", Code.Canceled)).code, "CANCELLED");
});

test("names are escaped as the contract says", () => {
  const names = {
    "/conv1/Conv": "%2Fconv1%2FConv",
    "a b+(c)!": "a%20b%2B%28c%29%21",
    "layer1.0.relu:1": "layer1.0.relu:1",
    "é@~_-": "%C3%A9@~_-",
  };
  for (const [id, escaped] of Object.entries(names)) {
    const name = layerName("m", id);
    assert.equal(name, `models/m/layers/${escaped}`);
    assert.deepEqual([layerId(name), modelId(name)], [id, "m"]);
  }
});

test("quantized tensors are real numbers", () => {
  const data = Uint8Array.of(0, 2, 255);
  const bare = create(TensorHeaderSchema, { dtype: DataType.UINT8 });
  assert.throws(() => new Tensor(bare, data).float32s(), TypeError);
  const quantization = { scale: 0.5, offset: -1 };
  const affine = create(TensorHeaderSchema, { dtype: DataType.UINT8, quantization });
  assert.deepEqual(new Tensor(affine, data).float32s(), Float32Array.of(-1, 0, 126.5));
});
