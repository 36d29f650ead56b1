import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type Frame, FrameSchema, ResultSchema } from "../src/gen/hooke/v1/frame_pb";
import { PictureRole } from "../src/gen/hooke/v1/image_pb";
import { DataType, TensorHeaderSchema, TensorTrailerSchema } from "../src/gen/hooke/v1/tensor_pb";
import { crc32c } from "../src/work/crc32c";
import { Collector, isFinal } from "../src/work/observation";
import { picture } from "./microscope";

const frame = (content: Frame["content"]) => create(FrameSchema, { content });
const preview = (item: number, step: number) =>
  frame({
    case: "picture",
    value: picture({ role: PictureRole.PREVIEW, item, step }),
  });
const final = (item: number, name: string) =>
  frame({ case: "picture", value: picture({ item, name }) });

test("CRC-32C as RFC 3720 tells it", () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
});

test("a later look replaces an earlier one, and what it becomes replaces it whatever its name", () => {
  const collector = new Collector();
  for (const each of [preview(0, 1), preview(1, 1), preview(0, 2)]) collector.take(each);
  expect([...collector.now.pictures.values()].map(({ item, step }) => [item, step])).toEqual([
    [0, 2],
    [1, 1],
  ]);
  collector.take(final(0, "caricature"));
  expect([...collector.now.pictures.values()].filter(({ item }) => item === 0)).toHaveLength(1);
  collector.take(frame({ case: "result", value: create(ResultSchema) }));
  expect([...collector.now.pictures.values()].every(isFinal)).toBe(true);
});

test("what was taken stays as it was", () => {
  const collector = new Collector();
  const before = collector.now;
  collector.take(preview(0, 1));
  expect(before.pictures.size).toBe(0);
});

function tensor(values: Float32Array, damage = 0): Frame[] {
  const bytes = new Uint8Array(values.buffer);
  const header = create(TensorHeaderSchema, {
    name: "mean",
    dtype: DataType.FP32,
    shape: [1n, BigInt(values.length)],
    totalBytes: BigInt(bytes.length),
  });
  const chunk = (from: number, to: number) => ({
    case: "tensorChunk" as const,
    value: { offset: BigInt(from), data: bytes.slice(from, to) },
  });
  const trailer = create(TensorTrailerSchema, { crc32c: (crc32c(bytes) ^ damage) >>> 0 });
  return [
    frame({ case: "tensorHeader", value: header }),
    create(FrameSchema, { content: chunk(0, 6) }), // a chunk may end inside an element
    create(FrameSchema, { content: chunk(6, bytes.length) }),
    frame({ case: "tensorTrailer", value: trailer }),
  ];
}

test("chunks become a tensor", () => {
  const collector = new Collector();
  const values = new Float32Array([1, -2.5, 3e9]);
  for (const each of tensor(values)) collector.take(each);
  expect(collector.now.tensors).toEqual([
    { name: "mean", layer: "", item: 0, shape: [1, 3], axes: [], values },
  ]);
});

test("a damaged tensor is an error, not a picture", () => {
  const collector = new Collector();
  const frames = tensor(new Float32Array([1, 2]), 1);
  expect(() => frames.forEach((each) => void collector.take(each))).toThrow("damaged");
});
