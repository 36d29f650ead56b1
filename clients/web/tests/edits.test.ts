import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { format, message, parse, describe as tell } from "../src/edits/notation";
import { AblationValue, EditSchema } from "../src/gen/hooke/v1/edit_pb";

test.each([
  "ablate:blocks.4.2#7",
  "ablate=mean:blocks.4.2#7,9",
  "scale=0.5:conv_stem",
  "clamp=..6:layer1.0.relu:1#0",
  "clamp=-1..1:/conv1/Conv",
])("%s is written as it was read", (text) => {
  const edit = parse(text);
  if (edit === undefined) throw new Error("not read");
  expect(format(edit)).toBe(text);
});

test("what is no edit is none", () => {
  for (const text of ["", "ablate", "explode:conv_stem", "ablate:"])
    expect(parse(text)).toBeUndefined();
});

test("edits become the contract's", () => {
  const made = (text: string) => {
    const edit = parse(text);
    if (edit === undefined) throw new Error("not read");
    return create(EditSchema, message("demo", edit));
  };
  expect(made("ablate=mean:a/b#7")).toMatchObject({
    location: { layer: "models/demo/layers/a%2Fb" },
    units: [7],
    change: { case: "ablation", value: { value: AblationValue.MEAN } },
  });
  expect(made("scale=-2:a").change).toMatchObject({ case: "scaling", value: { factor: -2 } });
  const { change } = made("clamp=..6:a");
  expect(change).toMatchObject({ case: "clamping", value: { high: 6 } });
  if (change.case === "clamping") expect(change.value.low).toBeUndefined();
});

test("and a reader is told what they do", () => {
  const edit = parse("scale=3:conv_stem#1,2");
  expect(edit && tell(edit)).toBe("multiply by 3: units 1, 2 of conv_stem");
});
