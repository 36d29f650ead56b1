/** Where boxes and lines go: dagre, in a worker of its own, so that the page never waits for it. */

import dagre from "@dagrejs/dagre";
import type { Edge } from "./collapse";

/** A box to be placed; `frame` names the box around it. */
export interface Box {
  readonly id: string;
  readonly frame: string;
  readonly width: number;
  readonly height: number;
}

/** What is to be laid out. */
export interface Question {
  readonly boxes: readonly Box[];
  readonly frames: readonly { readonly id: string; readonly frame: string }[];
  readonly edges: readonly Edge[];
}

export interface Placed {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Centres and sizes by id, and the corners of each line. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: Readonly<Record<string, Placed>>;
  readonly lines: readonly {
    readonly edge: Edge;
    readonly points: readonly { x: number; y: number }[];
  }[];
}

/** From top to bottom, as data flows. */
export function layOut({ boxes, frames, edges }: Question): Layout {
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: false });
  graph.setGraph({
    rankdir: "TB",
    nodesep: 26,
    ranksep: 40,
    edgesep: 14,
    marginx: 20,
    marginy: 20,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of frames) graph.setNode(id, {});
  for (const { id, width, height } of boxes) graph.setNode(id, { width, height });
  for (const { id, frame } of [...frames, ...boxes])
    if (graph.hasNode(frame)) graph.setParent(id, frame);
  for (const { from, to } of edges) graph.setEdge(from, to);
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  const placed = graph.nodes().map((id): [string, Placed] => {
    const { x = 0, y = 0, width = 0, height = 0 } = graph.node(id);
    return [id, { x, y, width, height }];
  });
  return {
    width,
    height,
    boxes: Object.fromEntries(placed),
    lines: edges.map((edge) => ({ edge, points: graph.edge(edge.from, edge.to).points ?? [] })),
  };
}
