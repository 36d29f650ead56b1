/** Units as the tiles of one picture. */

import type { Picture as Made } from "../gen/hooke/v1/image_pb";
import { SpriteTile, useUrl } from "../pictures/picture";

interface TilesProps {
  readonly sheet: Made;
  /** Where a unit's tile leads. */
  readonly link: (unit: number) => string;
}

/** A grid of them; pixels stay sharp. */
export function UnitTiles({ sheet, link }: TilesProps) {
  const url = useUrl(sheet);
  if (url === undefined) return null;
  return (
    <ol class="units maps">
      {sheet.tiles.map((tile) => {
        const choice = tile.location?.unitChoice;
        const unit = choice?.case === "unit" ? choice.value : tile.item;
        return (
          <li key={unit}>
            <a href={link(unit)} class="unit" title={tile.caption}>
              <SpriteTile url={url} sheet={sheet} tile={tile} />
              <span class="unit-name">
                <span class="visually-hidden">unit </span>
                {unit}
              </span>
            </a>
          </li>
        );
      })}
    </ol>
  );
}
