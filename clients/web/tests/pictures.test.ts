import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { LayerSchema, PreprocessingSchema } from "../src/gen/hooke/v1/model_service_pb";
import { fieldOf, seenPart } from "../src/pictures/crop";
import { colours } from "../src/pictures/overlay";
import { peaksOf } from "../src/pictures/peaks";
import { answersOf } from "../src/views/classes";

test("the seen part is a centre crop after the shorter side was resized", () => {
  const how = create(PreprocessingSchema, {
    resizeShorterSide: 256,
    cropHeight: 224,
    cropWidth: 224,
  });
  const part = seenPart(451, 300, how);
  expect(part.width).toBeCloseTo((224 * 300) / 256);
  expect(part.x + part.width / 2).toBeCloseTo(451 / 2);
  const all = create(PreprocessingSchema, { cropHeight: 224, cropWidth: 224 });
  expect(seenPart(451, 300, all)).toEqual({ x: 0, y: 0, width: 451, height: 300 });
});

test("a position's field is centred where the layer says, and clipped", () => {
  const axis = { size: 11, jump: 4, start: 1.5 };
  const layer = create(LayerSchema, { receptiveFields: [axis, axis] });
  const input = { width: 64, height: 64 };
  expect(fieldOf(layer, [5, 6], input)).toEqual({ x: 20, y: 16, width: 11, height: 11 });
  expect(fieldOf(layer, [0, 0], input)).toEqual({ x: 0, y: 0, width: 7, height: 7 });
  expect(fieldOf(create(LayerSchema), [0, 0], input)).toBeUndefined();
});

test("peaks are the largest values without their neighbours", () => {
  const values = [9, 8, 0, 0, 0, 0, 0, 0, 7, 0, 0, 6];
  const found = peaksOf({ rows: 3, columns: 4, values }, 3);
  expect(found.map(({ value }) => value)).toEqual([9, 7, 6]);
  expect(found[1]?.position).toEqual([2, 0]);
});

test("a map is clear where it is zero, and colours tell its sign", () => {
  const [zero, plus, minus] = [0, 4, 8].map((at) =>
    [...colours({ rows: 1, columns: 3, values: [0, 2, -2] })].slice(at, at + 4),
  );
  expect(zero?.[3]).toBe(0);
  expect(plus?.[3]).toBe(255);
  expect(plus?.[0]).toBeGreaterThan(plus?.[2] ?? 0);
  expect(minus?.[2]).toBeGreaterThan(minus?.[0] ?? 0);
});

test("logits become shares, and shares stay", () => {
  const tensor = (values: number[]) => ({
    name: "activations",
    layer: "",
    item: 0,
    axes: [],
    shape: [1, values.length],
    values: new Float32Array(values),
  });
  const answers = answersOf(tensor([1000, 1001, 999])) ?? [];
  expect(answers.map(({ unit }) => unit)).toEqual([1, 0, 2]);
  expect(answers.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  expect(answers[0]?.share).toBeCloseTo(1 / (1 + Math.exp(-1) + Math.exp(-2)));
  expect(answersOf(tensor([0.25, 0.75]))?.[0]).toEqual({ unit: 1, share: 0.75 });
});
