/** Requests for pictures. */

import { create, type DescMessage, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { type Edit, message } from "../edits/notation";
import {
  type AttributeRequest,
  AttributeRequestSchema,
  AttributionMethodSchema,
} from "../gen/hooke/v1/attribution_service_pb";
import { LocationSchema } from "../gen/hooke/v1/location_pb";
import type { Technique } from "../gen/hooke/v1/technique_service_pb";
import {
  VisualizationItemSchema,
  type VisualizeRequest,
  VisualizeRequestSchema,
} from "../gen/hooke/v1/visualization_service_pb";
import { photograph } from "../pictures/photographs";
import { exactly } from "../pictures/reading";
import { type Place, resourceName } from "../server/names";
import { locationOf } from "../server/server";
import { messageJson } from "./message";

/** A look at the unfinished work each so many steps; the server leaves out what comes too fast. */
const EVERY = 4;

/** Few steps have to be wide ones, or what is seen stays grey. */
const FEW_STEPS = 48;
const WIDE = 0.1;

/** The technique as the member of its request's oneof, with its parameters from the query. */
async function techniqueJson(
  technique: Technique,
  request: DescMessage,
  values: URLSearchParams,
): Promise<JsonObject> {
  const field = request.fields.find((each) => each.name === technique.name);
  if (field?.message === undefined)
    throw new Error(`this page does not know the lens '${technique.name}'; reload it`);
  return { [technique.name]: await messageJson(technique.parameters, field.message, values) };
}

/** A lens, with its parameters as they stand in the query, pointed at a place. */
export async function lensRequest(
  technique: Technique,
  place: Place,
  values: URLSearchParams,
): Promise<VisualizeRequest> {
  const request = fromJson(VisualizeRequestSchema, {
    ...(await techniqueJson(technique, VisualizeRequestSchema, values)),
    seed: values.get("seed") ?? "0",
    previews: { every: EVERY },
  });
  const value = create(LocationSchema, locationOf(place));
  request.items = [create(VisualizationItemSchema, { target: { case: "location", value } })];
  return request;
}

/** Why a model says what a unit says to a photograph, by a method at a layer or at the input. */
export async function attributionRequest(
  technique: Technique,
  question: {
    readonly target: Place;
    readonly photo: string;
    readonly at: string | undefined;
    readonly edits: readonly Edit[];
  },
  values: URLSearchParams,
): Promise<AttributeRequest> {
  const method = fromJson(
    AttributionMethodSchema,
    await techniqueJson(technique, AttributionMethodSchema, values),
  );
  if (question.at !== undefined) method.layerGlobs = [exactly(question.at)];
  const { bytes } = await photograph(question.photo);
  return create(AttributeRequestSchema, {
    model: resourceName({ model: question.target.model }),
    inputs: [{ value: { case: "images", value: { images: [{ data: bytes }] } } }],
    targets: [{ target: { case: "location", value: locationOf(question.target) } }],
    methods: [method],
    edits: question.edits.map((edit) => message(question.target.model, edit)),
    includePictures: false,
    seed: BigInt(values.get("seed") ?? 0),
  });
}

/** The filters of units of a first convolution, as one sheet. */
export function filtersRequest(place: Place, units: readonly number[]): VisualizeRequest {
  const selection = { layer: resourceName(place), units: [...units] };
  return create(VisualizeRequestSchema, {
    items: [{ target: { case: "units", value: selection } }],
    technique: { case: "weightPictures", value: {} },
    spriteSheet: {},
  });
}

/** What the given units of a layer respond to, quickly, previews first and then as one sheet. */
export function sheetRequest(
  place: Place,
  units: readonly number[],
  { steps, size }: { steps: number; size: number },
): VisualizeRequest {
  const selection = { layer: resourceName(place), units: [...units] };
  const ascent = { steps, size, ...(steps <= FEW_STEPS && { learningRate: WIDE }) };
  return create(VisualizeRequestSchema, {
    items: [{ target: { case: "units", value: selection } }],
    technique: { case: "featureVisualization", value: { ascent } },
    previews: { every: EVERY },
    spriteSheet: { tileSize: size },
  });
}
