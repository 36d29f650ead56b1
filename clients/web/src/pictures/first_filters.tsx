/** The filters of a model's first convolution, in its input's own colours: a model's face. */

import { create } from "@bufbuild/protobuf";
import { VisualizeRequestSchema } from "../gen/hooke/v1/visualization_service_pb";
import { type Place, resourceName } from "../server/names";
import { type Server, useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { useUrl } from "./picture";

/** A picture, or nothing where a model has no such filters. */
export function FirstFilters({ model }: { model: string }) {
  const server = useServer();
  const { value } = useAnswer(() => firstFilters(server, model), model);
  const url = useUrl(value);
  return url === undefined ? null : <img src={url} alt="" />;
}

async function firstFilters(server: Server, model: string) {
  const layers = await server.layers(model);
  const first = layers.find(({ op }) => op.startsWith("conv2d"));
  if (first === undefined) return undefined;
  const place: Place = { model, layer: first.id };
  const request = create(VisualizeRequestSchema, {
    items: [{ target: { case: "location", value: { layer: resourceName(place) } } }],
    technique: { case: "weightPictures", value: { tileSize: 40 } },
  });
  for await (const { content } of server.visualization.visualize(request))
    if (content.case === "picture") return content.value;
  return undefined;
}
