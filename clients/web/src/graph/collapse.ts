/**
 * A model's graph with modules closed or open.
 *
 * A closed module is one node; an open one is a frame around what is inside. Edges run between the
 * nodes that are seen: that of a hidden layer begins or ends at the closed module around it.
 */

import { type Layer, LayerKind } from "../gen/hooke/v1/model_service_pb";

/** Something that is drawn as one box. */
export interface Node {
  readonly layer: Layer;
  /** Whether it is a module that can be opened. */
  readonly closed: boolean;
  /** Id of the open module around it, "" at the top. */
  readonly frame: string;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
}

export interface Collapsed {
  readonly nodes: readonly Node[];
  readonly frames: readonly Node[];
  readonly edges: readonly Edge[];
}

/** What is seen when these modules are open. */
export function collapse(layers: readonly Layer[], open: ReadonlySet<string>): Collapsed {
  const byId = new Map(layers.map((layer) => [layer.id, layer]));
  const isOpen = ({ id, kind }: Layer) => kind === LayerKind.BLOCK && open.has(id);
  const seen = (layer: Layer): Layer => {
    let shown = layer;
    for (let at = byId.get(layer.parentId); at !== undefined; at = byId.get(at.parentId))
      if (!isOpen(at)) shown = at;
    return shown;
  };
  const node = (layer: Layer): Node => ({
    layer,
    closed: layer.kind === LayerKind.BLOCK,
    frame: layer.parentId,
  });
  const visible = layers.filter((layer) => seen(layer) === layer);
  const edges = new Map<string, Edge>();
  for (const layer of layers) {
    if (layer.kind === LayerKind.BLOCK) continue;
    const to = seen(layer).id;
    for (const producer of layer.producerIds) {
      const from = byId.get(producer);
      if (from === undefined) continue;
      const start = seen(from).id;
      if (start !== to) edges.set(`${start}\n${to}`, { from: start, to });
    }
  }
  return {
    nodes: visible.filter((layer) => !isOpen(layer)).map(node),
    frames: visible
      .filter(isOpen)
      .sort((one, other) => one.depth - other.depth)
      .map(node),
    edges: [...edges.values()],
  };
}

/**
 * Modules to open at first: level by level from the outside, as long as no more boxes are seen than
 * that. What multiplies nothing stays closed.
 */
export function openAtFirst(layers: readonly Layer[], most = 28): Set<string> {
  const open = new Set<string>();
  const inside = Map.groupBy(layers, ({ parentId }) => parentId);
  const modules = (all: readonly Layer[]) =>
    all.filter(({ kind, macs }) => kind === LayerKind.BLOCK && macs > 0n);
  let boxes = inside.get("")?.length ?? 0;
  let level = modules(inside.get("") ?? []);
  while (level.length > 0) {
    const next = level.flatMap(({ id }) => inside.get(id) ?? []);
    boxes += next.length - level.length;
    if (boxes > most) break;
    for (const { id } of level) open.add(id);
    level = modules(next);
  }
  return open;
}
