/** A server in memory: a small network of two stages, which answers as the real one does. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb";
import { ActivationService } from "../src/gen/hooke/v1/activation_service_pb";
import { ComparisonService } from "../src/gen/hooke/v1/comparison_service_pb";
import { type Frame, FrameSchema } from "../src/gen/hooke/v1/frame_pb";
import { type Picture, PictureRole, PictureSchema } from "../src/gen/hooke/v1/image_pb";
import {
  type Layer,
  LayerKind,
  LayerSchema,
  ModelSchema,
  ModelService,
  ModelState,
} from "../src/gen/hooke/v1/model_service_pb";
import { ColumnType } from "../src/gen/hooke/v1/table_pb";
import {
  ParameterType,
  type Technique,
  TechniqueKind,
  TechniqueSchema,
  TechniqueService,
} from "../src/gen/hooke/v1/technique_service_pb";
import { VisualizationService } from "../src/gen/hooke/v1/visualization_service_pb";
import { Server } from "../src/server/server";

/** A layer of the network. */
export function layer(id: string, parentId = "", producerIds: string[] = [], macs = 9n): Layer {
  const kind = producerIds.length > 0 ? LayerKind.MODULE : LayerKind.BLOCK;
  return create(LayerSchema, {
    name: `models/small/layers/${id}`,
    id,
    parentId,
    producerIds,
    kind,
    macs,
    op: kind === LayerKind.BLOCK ? "sequential" : "conv2d",
    unitCount: 4,
    unitAxis: 1,
    output: { shape: [{ name: "batch" }, { size: 4n, name: "unit" }, { size: 8n }, { size: 8n }] },
  });
}

export const LAYERS: readonly Layer[] = [
  create(LayerSchema, { id: "x", kind: LayerKind.INPUT, op: "input" }),
  layer("one.a", "one", ["x"]),
  layer("one.b", "one", ["one.a"]),
  layer("one"),
  layer("two.a", "two", ["one.b"]),
  layer("two.add", "two", ["two.a", "one.b"]),
  layer("two"),
];

/** What a test can choose and see. */
export interface Bench {
  layers: readonly Layer[];
  techniques: readonly Technique[];
  /** Frames of every stream of pictures; it may wait between two. */
  frames: () => AsyncIterable<Frame["content"]>;
  /** How many streams were closed before their end. */
  cut: number;
  /** Calls by name. */
  asked: string[];
}

/** A bench that shows a unit in two steps. */
export function bench(changes: Partial<Bench> = {}): Bench {
  return {
    layers: LAYERS,
    techniques: [TECHNIQUE],
    cut: 0,
    asked: [],
    async *frames() {
      yield { case: "picture", value: picture({ role: PictureRole.PREVIEW, step: 1 }) };
      yield { case: "picture", value: picture({ name: "feature" }) };
      yield { case: "result", value: create(FrameSchema, { content: RESULT }).content.value };
    },
    ...changes,
  } as Bench;
}

const RESULT = { case: "result" as const, value: { planDigest: "sha256:0", pictureCount: 1 } };

/** A picture of one grey pixel. */
export function picture(changes: MessageInitShape<typeof PictureSchema>): Picture {
  const base = {
    name: "feature",
    role: PictureRole.FINAL,
    mimeType: "image/png",
    width: 8,
    height: 8,
  };
  return create(PictureSchema, { ...base, ...(changes as typeof base) });
}

export const TECHNIQUE = create(TechniqueSchema, {
  name: "feature_visualization",
  title: "Feature visualization",
  kind: TechniqueKind.VISUALIZATION,
  applicability: { applicable: true },
  parameters: [
    {
      name: "ascent",
      type: ParameterType.MESSAGE,
      defaultValue: { value: { case: "json", value: '{"steps": 512, "storage": null}' } },
      fields: [
        { name: "steps", type: ParameterType.INTEGER, minimum: 1, maximum: 8192 },
        {
          name: "image",
          type: ParameterType.MESSAGE,
          fields: [
            {
              name: "storage",
              type: ParameterType.ONE_OF,
              fields: [
                { name: "pixel_image", type: ParameterType.MESSAGE },
                {
                  name: "fourier_image",
                  type: ParameterType.MESSAGE,
                  fields: [{ name: "decay_power", type: ParameterType.NUMBER }],
                },
              ],
            },
            { name: "shared_factors", type: ParameterType.INTEGER, repeated: true },
          ],
        },
      ],
    },
    {
      name: "sign",
      type: ParameterType.CHOICE,
      choices: ["positive", "negative", "both"],
      defaultValue: { value: { case: "choice", value: "positive" } },
    },
  ],
});

const NOT_FOUND = create(ErrorInfoSchema, {
  reason: "LAYER_NOT_FOUND",
  domain: "hooke",
  metadata: { nearest: "one.a,one.b" },
});

/** The server that a test's page talks to. */
export function serverOf(shown: Bench): Server {
  const transport = createRouterTransport(({ service }) => {
    service(ModelService, {
      listModels() {
        shown.asked.push("listModels");
        const model = { name: "models/small", state: ModelState.READY, layerCount: 7 };
        return { models: shown.layers.length > 0 ? [model] : [] };
      },
      getModel: ({ name }) => create(ModelSchema, { name, layerCount: shown.layers.length }),
      async *streamLayers() {
        shown.asked.push("streamLayers");
        yield* shown.layers;
      },
      getLayer({ name }) {
        const found = shown.layers.find((each) => each.name === name);
        if (found) return found;
        throw new ConnectError(`no layer '${name}'`, Code.NotFound, undefined, [
          { desc: ErrorInfoSchema, value: NOT_FOUND },
        ]);
      },
    });
    service(TechniqueService, {
      listTechniques: () => ({ techniques: [...shown.techniques] }),
    });
    service(ActivationService, {});
    service(ComparisonService, {
      async *compareWeights({ reference, candidate }) {
        shown.asked.push(`compareWeights ${reference} ${candidate}`);
        const name = { name: "weight", type: ColumnType.TEXT };
        const change = { name: "largest_change", type: ColumnType.NUMBER, description: "How far." };
        const cells = [
          { value: { case: "text" as const, value: "one.a.weight" } },
          { value: { case: "number" as const, value: 0.5 } },
        ];
        const locations = [{ layer: "models/small/layers/one.a" }];
        const frames: MessageInitShape<typeof FrameSchema>["content"][] = [
          { case: "tableHeader", value: { tableId: 1n, name: "weights", columns: [name, change] } },
          { case: "tableRows", value: { tableId: 1n, rows: [{ cells }] } },
          { case: "finding", value: { text: "one.a differs most", locations } },
          RESULT,
        ];
        for (const content of frames) if (content) yield create(FrameSchema, { content });
      },
    });
    service(VisualizationService, {
      async *visualize(request, { signal }) {
        shown.asked.push(`visualize ${request.technique.case}`);
        let ended = false;
        try {
          for await (const content of shown.frames()) {
            signal.throwIfAborted();
            yield create(FrameSchema, { content });
          }
          ended = true;
        } finally {
          if (!ended) shown.cut += 1;
        }
      },
    });
  });
  return new Server(transport);
}
