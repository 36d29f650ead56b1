import { create, fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { IntegratedGradientsSchema } from "../src/gen/hooke/v1/attribution_pb";
import { ParameterType, TechniqueParameterSchema } from "../src/gen/hooke/v1/technique_service_pb";
import { VisualizationSign } from "../src/gen/hooke/v1/visualization_pb";
import { VisualizeRequestSchema } from "../src/gen/hooke/v1/visualization_service_pb";
import { messageJson } from "../src/lens/message";
import { lensRequest } from "../src/lens/request";
import { TECHNIQUE } from "./microscope";

const PLACE = { model: "demo", layer: "blocks.4.2", unit: 7 };

async function technique(query: string) {
  const request = await lensRequest(TECHNIQUE, PLACE, new URLSearchParams(query));
  if (request.technique.case !== "featureVisualization") throw new Error("another technique");
  return request.technique.value;
}

test("nothing set is an empty message, so that the server's defaults hold", async () => {
  const { ascent, sign } = await technique("");
  expect(ascent).toBeUndefined();
  expect(sign).toBeUndefined();
});

test("numbers, choices, lists and alternatives find their fields", async () => {
  const query =
    "ascent.steps=64&sign=negative&ascent.image.shared_factors=2,4" +
    "&ascent.image.storage=fourier_image&ascent.image.storage.fourier_image.decay_power=1.5";
  const { ascent, sign } = await technique(query);
  expect(ascent?.steps).toBe(64);
  expect(sign).toBe(VisualizationSign.NEGATIVE);
  expect(ascent?.image?.sharedFactors).toEqual([2, 4]);
  expect(ascent?.image?.storage).toMatchObject({
    case: "fourierImage",
    value: { decayPower: 1.5 },
  });
});

test("an alternative without values of its own is chosen all the same", async () => {
  const { ascent } = await technique("ascent.image.storage=pixel_image");
  expect(ascent?.image?.storage.case).toBe("pixelImage");
});

test("where several are allowed, a form chooses one, and JSON any number", async () => {
  const baseline = { name: "blur_baseline", type: ParameterType.MESSAGE };
  const deviation = { name: "deviation", type: ParameterType.NUMBER };
  const parameters = [
    create(TechniqueParameterSchema, {
      name: "baselines",
      type: ParameterType.ONE_OF,
      repeated: true,
      fields: [{ ...baseline, fields: [deviation] }],
    }),
  ];
  const read = async (query: string) => {
    const values = new URLSearchParams(query);
    const json = await messageJson(parameters, IntegratedGradientsSchema, values);
    return fromJson(IntegratedGradientsSchema, json).baselines;
  };
  const [blur, ...others] = await read(
    "baselines=blur_baseline&baselines.blur_baseline.deviation=4",
  );
  expect(blur?.baseline).toMatchObject({ case: "blurBaseline", value: { deviation: 4 } });
  expect(others).toEqual([]);
  expect(await read('baselines=[{"zero_baseline":{}},{"mean_baseline":{}}]')).toHaveLength(2);
});

test("a message may be written as JSON", async () => {
  const { ascent } = await technique('ascent={"steps":9,"transforms":{"copies":2}}');
  expect(ascent).toMatchObject({ steps: 9, transforms: { copies: 2 } });
});

test("the place and the seed go with it", async () => {
  const request = await lensRequest(
    TECHNIQUE,
    PLACE,
    new URLSearchParams("seed=18446744073709551615"),
  );
  expect(request.seed).toBe(18446744073709551615n);
  expect(request.items[0]?.target).toMatchObject({
    case: "location",
    value: { layer: "models/demo/layers/blocks.4.2", unitChoice: { case: "unit", value: 7 } },
  });
});

test("what the contract does not have is refused by name", async () => {
  await expect(technique("sign=sideways")).rejects.toThrow("sideways");
  const unknown = { ...TECHNIQUE, name: "divination" };
  await expect(lensRequest(unknown, PLACE, new URLSearchParams())).rejects.toThrow("divination");
});

test("the request is one that the contract reads", async () => {
  const request = await lensRequest(TECHNIQUE, PLACE, new URLSearchParams("ascent.steps=3"));
  const json = { featureVisualization: { ascent: { steps: 3 } } };
  expect(request.technique).toEqual(fromJson(VisualizeRequestSchema, json).technique);
});
