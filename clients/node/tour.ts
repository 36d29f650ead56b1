/** Makes the calls of clients/README.md and prints what they answer, as JSON. */
import { readFile } from "node:fs/promises";
import { Statistic } from "./src/gen/hooke/v1/readout_pb.js";
import * as hooke from "./src/index.js";
import { type Client, connect, HookeError } from "./src/index.js";

const MODEL = "demo";
const LAYER = "blocks.2.1";
const PICTURE = new URL("../../tour.png", import.meta.url); // beside clients/node, seen from dist

async function models(client: Client) {
  return (await client.models()).map((model) => hooke.modelId(model.name));
}

async function layers(client: Client) {
  const found = [];
  for await (const layer of client.layers(MODEL, { globs: ["blocks.2.*"], ops: ["conv2d"] })) {
    const shape = (layer.output?.shape ?? []).map(({ size, name }) =>
      size === undefined ? name : Number(size),
    );
    found.push({ id: layer.id, op: layer.op, shape, units: layer.unitCount });
  }
  return found;
}

async function activations(client: Client) {
  const inputs = [hooke.pictures(await readFile(PICTURE))];
  const mean = hooke.reduced(Statistic.MEAN, "blocks.0.0", LAYER);
  const tensors = await client.activations(MODEL, inputs, [mean]);
  const rounded = (value: number) => Math.round(value * 1e4) / 1e4;
  return Object.fromEntries(
    tensors.map((each) => [each.layer, Array.from(each.float32s().subarray(0, 4), rounded)]),
  );
}

async function tensor(client: Client) {
  const zeros = hooke.float32Input(new Float32Array(4 * 3 * 224 * 224), [4, 3, 224, 224]);
  const [value] = await client.activations(MODEL, [zeros], [hooke.values("conv_stem")]);
  if (!value) throw new Error("no tensor came");
  const { layer, dtype, shape, header, crc32c } = value;
  return { layer, dtype, shape, axes: header.axes, crc32c: crc32c.toString(16).padStart(8, "0") };
}

function feature(steps: number, seed = 0) {
  const technique = {
    case: "featureVisualization" as const,
    value: { ascent: { steps, size: 64 } },
  };
  return { items: [hooke.unit(MODEL, LAYER, 7)], technique, seed: BigInt(seed) };
}

async function visualization(client: Client) {
  const answer: Record<string, unknown> = {};
  for await (const frame of client.visualize(feature(4, 1))) {
    answer.ends_with_result = frame.case === "result";
    if (frame.case === "progress") answer.steps = frame.value.step;
    if (frame.case === "picture") {
      const { layer, location, mimeType, width, height } = frame.value;
      const unit = location?.unitChoice.value;
      answer.picture = [hooke.layerId(layer), unit, mimeType, width, height];
    }
  }
  return answer;
}

/** What work fails with. */
async function failure(work: () => Promise<unknown>): Promise<HookeError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof HookeError) return error;
    throw error;
  }
  throw new Error("it succeeded");
}

async function unknown(client: Client) {
  const { code, reason, metadata } = await failure(() => client.layer(MODEL, "blocks.9.9"));
  return { code, reason, metadata };
}

async function invalid(client: Client) {
  const error = await failure(() => drained(client.visualize(feature(0))));
  return { code: error.code, reason: error.reason, fields: error.fieldViolations };
}

async function cancelled(client: Client) {
  const leaving = new AbortController();
  let unfinished = false;
  const error = await failure(async () => {
    const frames = client.visualize(feature(4096), { signal: leaving.signal });
    for await (const frame of frames) {
      if (frame.case !== "progress") continue;
      unfinished = frame.value.step < frame.value.totalSteps;
      leaving.abort();
    }
  });
  return unfinished && error.code === "CANCELLED";
}

async function deadline(client: Client) {
  const error = await failure(() => drained(client.visualize(feature(4096), { timeoutMs: 250 })));
  return error.code;
}

async function drained(frames: AsyncIterable<unknown>) {
  for await (const _ of frames);
}

/** JSON with sorted keys. */
function canonical(answers: unknown): string {
  return JSON.stringify(answers, (_, value) =>
    value?.constructor === Object
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

const client = connect(process.argv[2] ?? "localhost:50051");
const answers = {
  models: await models(client),
  layers: await layers(client),
  activations: await activations(client),
  tensor: await tensor(client),
  visualization: await visualization(client),
  error: await unknown(client),
  invalid: await invalid(client),
  cancelled: await cancelled(client),
  deadline: await deadline(client),
};
console.log(canonical(answers));
