import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Client as Stub, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { HookeError } from "./errors.js";
import { type Frame, readFrames } from "./frames.js";
import {
  ActivationService,
  type StreamActivationsRequestSchema,
} from "./gen/hooke/v1/activation_service_pb.js";
import { AttributionService } from "./gen/hooke/v1/attribution_service_pb.js";
import type { ModelInputSchema } from "./gen/hooke/v1/input_pb.js";
import {
  type Layer,
  type LayerFilterSchema,
  type Model,
  ModelService,
} from "./gen/hooke/v1/model_service_pb.js";
import type { ReadoutSchema } from "./gen/hooke/v1/readout_pb.js";
import {
  VisualizationService,
  type VisualizeRequestSchema,
} from "./gen/hooke/v1/visualization_service_pb.js";
import { layerName, modelName } from "./requests.js";
import type { Tensor } from "./tensor.js";

/** How long a call may take, and what cancels it. */
export interface CallOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** A client of the server at `host:port`; nothing is sent before the first call. */
export function connect(address: string): Client {
  return new Client(createGrpcTransport({ baseUrl: `http://${address}` }));
}

/**
 * Calls of a Hooke server, over a transport of your own or that of `connect`.
 *
 * The services' stubs are open, for calls that have no method here.
 */
export class Client {
  readonly modelService: Stub<typeof ModelService>;
  readonly activationService: Stub<typeof ActivationService>;
  readonly visualizationService: Stub<typeof VisualizationService>;
  readonly attributionService: Stub<typeof AttributionService>;

  constructor(readonly transport: Transport) {
    this.modelService = createClient(ModelService, transport);
    this.activationService = createClient(ActivationService, transport);
    this.visualizationService = createClient(VisualizationService, transport);
    this.attributionService = createClient(AttributionService, transport);
  }

  /** All models that the server knows, loaded or not. */
  async models(options?: CallOptions): Promise<Model[]> {
    const models: Model[] = [];
    let pageToken = "";
    do {
      const page = await translated(this.modelService.listModels({ pageToken }, options));
      models.push(...page.models);
      pageToken = page.nextPageToken;
    } while (pageToken);
    return models;
  }

  /** The layers of a model that fit a filter, in the order in which they run. */
  layers(
    model: string,
    filter?: MessageInitShape<typeof LayerFilterSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Layer> {
    const request = filter ? { parent: modelName(model), filter } : { parent: modelName(model) };
    return messages(this.modelService.streamLayers, request, options);
  }

  /** One layer. */
  async layer(model: string, layer: string, options?: CallOptions): Promise<Layer> {
    return translated(this.modelService.getLayer({ name: layerName(model, layer) }, options));
  }

  /**
   * What layers say to inputs, in one forward pass: a tensor for each output of each readout, in
   * the order in which layers run.
   */
  async activations(
    model: string,
    inputs: MessageInitShape<typeof ModelInputSchema>[],
    readouts: MessageInitShape<typeof ReadoutSchema>[],
    options?: CallOptions,
  ): Promise<Tensor[]> {
    const request = { model: modelName(model), inputs, readouts };
    const tensors: Tensor[] = [];
    for await (const frame of this.activationFrames(request, options)) {
      if (frame.case === "tensor") tensors.push(frame.value);
    }
    return tensors;
  }

  /** The frames that answer any request for activations. */
  activationFrames(
    request: MessageInitShape<typeof StreamActivationsRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Frame> {
    return readFrames(messages(this.activationService.streamActivations, request, options));
  }

  /** Pictures of what places respond to, as they are made; leaving the loop stops the work. */
  visualize(
    request: MessageInitShape<typeof VisualizeRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Frame> {
    return readFrames(messages(this.visualizationService.visualize, request, options));
  }
}

async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw HookeError.from(error);
  }
}

/**
 * What a stream holds; leaving it early cancels the call.
 *
 * The call is a stub's method, so that every call of the contract can be made this way:
 * `readFrames(messages(client.attributionService.attribute, request))`.
 */
export async function* messages<R, M>(
  call: (request: R, options: CallOptions) => AsyncIterable<M>,
  request: R,
  options: CallOptions = {},
): AsyncGenerator<M> {
  const left = new AbortController();
  const signals = options.signal ? [left.signal, options.signal] : [left.signal];
  try {
    yield* call(request, { ...options, signal: AbortSignal.any(signals) });
  } catch (error) {
    throw HookeError.from(error);
  } finally {
    left.abort();
  }
}
