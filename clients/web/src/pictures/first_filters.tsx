/** The filters of a model's first convolution, in its input's own colours: a model's face. */

import type { Picture as Made } from "../gen/hooke/v1/image_pb";
import { filtersRequest } from "../lens/request";
import { type Server, useServer } from "../server/server";
import { useAnswer } from "../work/answer";
import { SpriteTile, useUrl } from "./picture";

const SHOWN = 24;

/** A picture, or nothing where a model has no such filters. */
export function FirstFilters({ model }: { model: string }) {
  const server = useServer();
  const { value: sheet } = useAnswer(() => firstFilters(server, model), model);
  const url = useUrl(sheet);
  if (sheet === undefined || url === undefined) return null;
  return (
    <span class="filters" aria-hidden="true">
      {sheet.tiles.slice(0, SHOWN).map((tile) => (
        <SpriteTile key={tile.item} url={url} sheet={sheet} tile={tile} />
      ))}
    </span>
  );
}

async function firstFilters(server: Server, model: string): Promise<Made | undefined> {
  const layers = await server.layers(model);
  const first = layers.find(({ op }) => op.startsWith("conv2d"));
  if (first === undefined) return undefined;
  const units = Array.from({ length: Math.min(SHOWN, first.unitCount) }, (_, unit) => unit);
  const request = filtersRequest({ model, layer: first.id }, units);
  for await (const { content } of server.visualization.visualize(request))
    if (content.case === "picture" && content.value.tiles.length > 0) return content.value;
  return undefined;
}
