/**
 * Resource names, which are also the page's paths.
 *
 * `models/demo/layers/blocks.4.2` is the layer's name in the contract; with a slash before it
 * and `/units/7` behind it is the permalink of what the page shows of it.
 */

/** Where a microscope can be pointed at. */
export interface Place {
  readonly model: string;
  /** Id of a layer as it is, not escaped. */
  readonly layer?: string;
  readonly unit?: number;
}

/** Percent-encodes all but `A-Z a-z 0-9 . _ - ~ : @`, as `location.proto` has it. */
export function escapeId(id: string): string {
  return encodeURIComponent(id)
    .replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%3A/g, ":")
    .replace(/%40/g, "@");
}

/** `models/{model}` or `models/{model}/layers/{layer}`. */
export function resourceName(place: Place): string {
  const layer = place.layer === undefined ? "" : `/layers/${escapeId(place.layer)}`;
  return `models/${escapeId(place.model)}${layer}`;
}

/** The permalink of a place. */
export function pathOf(place: Place): string {
  const unit = place.unit === undefined ? "" : `/units/${place.unit}`;
  return `/${resourceName(place)}${unit}`;
}

const PLACE = /^\/?models\/([^/]+)(?:\/layers\/([^/]+)(?:\/units\/(\d{1,9}))?)?\/?$/;

/** The place that a path or resource name stands for, if any. */
export function placeOf(path: string): Place | undefined {
  const [, model, layer, unit] = PLACE.exec(path) ?? [];
  if (model === undefined) return undefined;
  try {
    return {
      model: decodeURIComponent(model),
      ...(layer !== undefined && { layer: decodeURIComponent(layer) }),
      ...(unit !== undefined && { unit: Number(unit) }),
    };
  } catch {
    return undefined; // a stray percent sign
  }
}

/** The id of a model from its resource name. */
export function modelId(name: string): string {
  return placeOf(name)?.model ?? name;
}
