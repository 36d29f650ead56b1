/**
 * A client of Hooke, a microscope for neural networks.
 *
 * `connect` makes a `Client`; what computes yields `Frame`s, and what fails is a `HookeError`.
 * Messages are those of `@hooke/client/v1/...`, which `npm run generate` makes from the protos;
 * only where they are tedious (tensors in chunks, errors, names) does this package add to them.
 */
export { type CallOptions, Client, connect, messages } from "./client.js";
export { HookeError } from "./errors.js";
export { type Frame, readFrames } from "./frames.js";
export {
  float32Input,
  layerId,
  layerName,
  modelId,
  modelName,
  pictures,
  reduced,
  unit,
  values,
} from "./requests.js";
export { Assembler, Tensor } from "./tensor.js";
