/** Requests for pictures. */

import { create, fromJson } from "@bufbuild/protobuf";
import { LocationSchema } from "../gen/hooke/v1/location_pb";
import type { Technique } from "../gen/hooke/v1/technique_service_pb";
import {
  VisualizationItemSchema,
  type VisualizeRequest,
  VisualizeRequestSchema,
} from "../gen/hooke/v1/visualization_service_pb";
import { type Place, resourceName } from "../server/names";
import { locationOf } from "../server/server";
import { messageJson } from "./message";

/** A look at the unfinished work each so many steps; the server leaves out what comes too fast. */
const EVERY = 4;

/** Few steps have to be wide ones, or what is seen stays grey. */
const FEW_STEPS = 48;
const WIDE = 0.1;

/** A lens, with its parameters as they stand in the query, pointed at a place. */
export async function lensRequest(
  technique: Technique,
  place: Place,
  values: URLSearchParams,
): Promise<VisualizeRequest> {
  const field = VisualizeRequestSchema.fields.find((each) => each.name === technique.name);
  if (field?.message === undefined)
    throw new Error(`this page does not know the lens '${technique.name}'; reload it`);
  const request = fromJson(VisualizeRequestSchema, {
    [technique.name]: await messageJson(technique.parameters, field.message, values),
    seed: values.get("seed") ?? "0",
    previews: { every: EVERY },
  });
  const value = create(LocationSchema, locationOf(place));
  request.items = [create(VisualizationItemSchema, { target: { case: "location", value } })];
  return request;
}

/** The filters of units of a first convolution, as one sheet. */
export function filtersRequest(place: Place, units: readonly number[]): VisualizeRequest {
  const selection = { layer: resourceName(place), units: units.map(BigInt) };
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
  const selection = { layer: resourceName(place), units: units.map(BigInt) };
  const ascent = { steps, size, ...(steps <= FEW_STEPS && { learningRate: WIDE }) };
  return create(VisualizeRequestSchema, {
    items: [{ target: { case: "units", value: selection } }],
    technique: { case: "featureVisualization", value: { ascent } },
    previews: { every: EVERY },
    spriteSheet: { tileSize: size },
  });
}
