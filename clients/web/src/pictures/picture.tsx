/** Pictures that the server made. */

import { useEffect, useMemo } from "preact/hooks";
import type { Picture as Made, Tile } from "../gen/hooke/v1/image_pb";
import { isFinal } from "../work/observation";

/** An address for a picture's bytes, for as long as the component shows it. */
export function useUrl(picture: Made | undefined): string | undefined {
  const url = useMemo(() => {
    if (picture === undefined) return undefined;
    const bytes = picture.data as Uint8Array<ArrayBuffer>;
    return URL.createObjectURL(new Blob([bytes], { type: picture.mimeType }));
  }, [picture]);
  useEffect(() => () => url && URL.revokeObjectURL(url), [url]);
  return url;
}

/** A picture with what it tells of itself. */
export function Picture({ picture, alt }: { picture: Made; alt: string }) {
  return (
    <img
      class="picture"
      data-final={isFinal(picture)}
      src={useUrl(picture)}
      width={picture.width}
      height={picture.height}
      alt={alt}
    />
  );
}

/** One tile of a picture that holds many, enlarged to fill its place. */
export function SpriteTile({ url, sheet, tile }: { url: string; sheet: Made; tile: Tile }) {
  const share = (offset: number, whole: number, part: number) =>
    whole === part ? 0 : (100 * offset) / (whole - part);
  return (
    <span
      class="sprite"
      style={{
        backgroundImage: `url("${url}")`,
        backgroundSize: `${(100 * sheet.width) / tile.width}% ${(100 * sheet.height) / tile.height}%`,
        backgroundPosition: `${share(tile.x, sheet.width, tile.width)}% ${share(tile.y, sheet.height, tile.height)}%`,
      }}
    />
  );
}
