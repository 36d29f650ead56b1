import type { MessageInitShape } from "@bufbuild/protobuf";

import type { ModelInputSchema } from "./gen/hooke/v1/input_pb.js";
import type { ReadoutSchema, Statistic } from "./gen/hooke/v1/readout_pb.js";
import { DataType } from "./gen/hooke/v1/tensor_pb.js";
import type { VisualizationItemSchema } from "./gen/hooke/v1/visualization_service_pb.js";

/** The resource name of a model. */
export function modelName(model: string): string {
  return `models/${model}`;
}

/** The resource name of a layer; characters that have a meaning there are escaped. */
export function layerName(model: string, layer: string): string {
  // All but A-Z a-z 0-9 . _ - ~ : @; `encodeURIComponent` leaves ! ' ( ) * as well.
  const escaped = encodeURIComponent(layer)
    .replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%3A/g, ":")
    .replace(/%40/g, "@");
  return `${modelName(model)}/layers/${escaped}`;
}

/** The model in a resource name. */
export function modelId(name: string): string {
  return name.split("/")[1] ?? name;
}

/** The layer in a resource name; empty where it names none. */
export function layerId(name: string): string {
  return decodeURIComponent(name.split("/layers/")[1] ?? "");
}

/** An input of pictures, PNG, JPEG or WebP files, which together are the batch. */
export function pictures(...files: Uint8Array[]): MessageInitShape<typeof ModelInputSchema> {
  const images = files.map((data) => ({ data: new Uint8Array(data) }));
  return { value: { case: "images", value: { images } } };
}

/** An input of numbers, with its batch dimension, exactly as the model takes it. */
export function float32Input(
  values: Float32Array,
  shape: number[],
): MessageInitShape<typeof ModelInputSchema> {
  const data = new Uint8Array(4 * values.length);
  const view = new DataView(data.buffer);
  values.forEach((value, n) => {
    view.setFloat32(4 * n, value, true);
  });
  return {
    value: { case: "tensor", value: { dtype: DataType.FP32, shape: shape.map(BigInt), data } },
  };
}

/** Reads every value of layers, named by ids or patterns. */
export function values(...layers: string[]): MessageInitShape<typeof ReadoutSchema> {
  return { layerGlobs: layers };
}

/** Reads one number for each sample and unit of layers. */
export function reduced(
  statistic: Statistic,
  ...layers: string[]
): MessageInitShape<typeof ReadoutSchema> {
  const reduction = { form: { case: "statistic" as const, value: statistic } };
  return { layerGlobs: layers, form: { case: "tensor", value: { reduction } } };
}

/** A unit of a layer, as something to visualize. */
export function unit(
  model: string,
  layer: string,
  index: number,
): MessageInitShape<typeof VisualizationItemSchema> {
  const unitChoice = { case: "unit" as const, value: index };
  return { target: { case: "location", value: { layer: layerName(model, layer), unitChoice } } };
}
