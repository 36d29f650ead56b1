import { create } from "@bufbuild/protobuf";
import { cleanup, fireEvent, screen } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { LayerKind } from "../src/gen/hooke/v1/model_service_pb";
import { ColumnType, RowSchema } from "../src/gen/hooke/v1/table_pb";
import { ParameterType, TechniqueSchema } from "../src/gen/hooke/v1/technique_service_pb";
import { unaskable } from "../src/lens/message";
import { TableView } from "../src/lens/tables";
import { laidOut, summedMap } from "../src/pictures/sums";
import { questioned } from "../src/views/method_choices";
import { bench, LAYERS, layer, TECHNIQUE } from "./microscope";
import { show } from "./page";

afterEach(cleanup);

const tracing = create(TechniqueSchema, {
  name: "causal_tracing",
  parameters: [
    {
      name: "part",
      type: ParameterType.CHOICE,
      choices: ["layer", "unit", "position"],
      defaultValue: { value: { case: "choice", value: "layer" } },
    },
  ],
});
const PLACES = LAYERS.slice(1);
const leaves = PLACES.filter(({ kind }) => kind !== LayerKind.BLOCK).map(({ id }) => id);
const asked = (query: string, method = tracing) =>
  questioned(method, new URLSearchParams(query), PLACES).layers;

test("layers are traced one after another, parts at the last layer, and both where one says", () => {
  expect(asked("")).toEqual(leaves);
  expect(asked("part=position")).toEqual(["two"]);
  expect(asked("part=position&at=one.a")).toEqual(["one.a"]);
});

test("another method looks by itself", () => {
  expect(asked("", TECHNIQUE)).toEqual([]);
  expect(asked("at=one.a", TECHNIQUE)).toEqual(["one.a"]);
});

test("a method that needs lists of pictures says so; one picture can be chosen", () => {
  const images = { name: "images", type: ParameterType.IMAGE, repeated: true };
  const concepts = { name: "concepts", type: ParameterType.MESSAGE, repeated: true };
  const needing = (parameter: object) => create(TechniqueSchema, { parameters: [parameter] });
  expect(unaskable(needing(images))).toContain("lists of pictures");
  expect(unaskable(needing({ ...concepts, fields: [images] }))).toContain("lists of pictures");
  expect(unaskable(needing({ ...images, repeated: false }))).toBe("");
  const none = { value: { case: "json", value: "[]" } };
  expect(unaskable(needing({ ...images, defaultValue: none }))).toBe("");
});

test("effects of positions lie over the picture", () => {
  const values = Float32Array.from({ length: 64 }, (_, at) => at);
  const name = "models/small/layers/one.a";
  const tensor = { name: "effects", layer: name, item: 0, shape: [1, 1, 64], values };
  const axes = ["target", "batch", "position"];
  const map = summedMap(laidOut([{ ...tensor, axes }], [layer("one.a")]));
  expect([map?.rows, map?.columns, map?.values[9]]).toEqual([8, 8, 9]);
  const units = { ...tensor, axes: ["target", "batch", "unit"] };
  expect(laidOut([units], [layer("one.a")])).toBeUndefined();
});

test("a long table shows its rows by and by, and no column that is empty or known", () => {
  const integer = (value: number) => ({
    value: { case: "integer" as const, value: BigInt(value) },
  });
  const rows = Array.from({ length: 2500 }, (_, at) =>
    create(RowSchema, { cells: [integer(at), integer(0), {}] }),
  );
  const columns = ["part", "target", "sample"].map((name) => ({
    name,
    type: ColumnType.INTEGER,
    unit: "",
    description: "",
  }));
  const table = { name: "effects", caption: "", item: 0, columns, rows } as never;
  show(<TableView table={table} without={["target"]} />, bench());
  expect(screen.getAllByRole("columnheader").map((each) => each.textContent)).toEqual(["part"]);
  expect(screen.getAllByRole("row")).toHaveLength(1001);
  fireEvent.click(screen.getByRole("button", { name: "Show more of 1500 further rows" }));
  expect(screen.getAllByRole("row")).toHaveLength(2001);
});
