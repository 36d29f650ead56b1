/** What layers say to a photograph. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type StreamActivationsRequest,
  StreamActivationsRequestSchema,
} from "../gen/hooke/v1/activation_service_pb";
import type { EditSchema } from "../gen/hooke/v1/edit_pb";
import type { Model, Preprocessing } from "../gen/hooke/v1/model_service_pb";
import type { ReadoutSchema } from "../gen/hooke/v1/readout_pb";
import { resourceName } from "../server/names";
import { type Photograph, photograph } from "./photographs";

/** A request that shows the model a photograph. */
export async function readingOf(
  model: string,
  photo: string,
  readouts: MessageInitShape<typeof ReadoutSchema>[],
  edits: MessageInitShape<typeof EditSchema>[] = [],
): Promise<StreamActivationsRequest> {
  const { bytes } = await photograph(photo);
  return create(StreamActivationsRequestSchema, {
    model: resourceName({ model }),
    inputs: [{ value: { case: "images", value: { images: [{ data: bytes }] } } }],
    readouts,
    edits,
  });
}

/** A pattern that fits exactly this layer. */
export const exactly = (layer: string): string => layer.replace(/[[*?]/g, "[$&]");

/** The photograph as an `<img>` shows it, and the part that the model sees. */
export interface Seen {
  readonly photograph: Photograph;
  readonly image: HTMLImageElement;
  readonly how: Preprocessing;
}

/** Load what is needed to draw on a photograph. */
export async function seen(model: Model, photo: string): Promise<Seen> {
  if (model.preprocessing === undefined) throw new Error("this model does not look at pictures");
  const found = await photograph(photo);
  const image = new Image();
  image.src = found.url;
  await image.decode();
  return { photograph: found, image, how: model.preprocessing };
}
