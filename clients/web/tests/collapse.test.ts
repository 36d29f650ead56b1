import { expect, test } from "vitest";
import { collapse, openAtFirst } from "../src/graph/collapse";
import { layOut } from "../src/graph/layout";
import { LAYERS, layer } from "./microscope";

const names = (open: string[]) => {
  const { nodes, frames, edges } = collapse(LAYERS, new Set(open));
  return {
    nodes: nodes.map((each) => each.layer.id),
    frames: frames.map((each) => each.layer.id),
    edges: edges.map(({ from, to }) => `${from}>${to}`),
  };
};

test("closed modules are one box each, and edges between them one line", () => {
  expect(names([])).toEqual({
    nodes: ["x", "one", "two"],
    frames: [],
    edges: ["x>one", "one>two"],
  });
});

test("an open module is a frame around its layers", () => {
  expect(names(["two"])).toEqual({
    nodes: ["x", "one", "two.a", "two.add"],
    frames: ["two"],
    edges: ["x>one", "one>two.a", "two.a>two.add", "one>two.add"],
  });
});

test("with all open, edges are those of the layers", () => {
  const edges = LAYERS.flatMap(({ id, producerIds }) => producerIds.map((from) => `${from}>${id}`));
  expect(new Set(names(["one", "two"]).edges)).toEqual(new Set(edges));
});

test("a module inside a closed one is not seen, open or not", () => {
  const deep = [...LAYERS, layer("two.in.c", "two.in", ["two.add"]), layer("two.in", "two")];
  const { nodes, frames } = collapse(deep, new Set(["two.in"]));
  expect(nodes.map((each) => each.layer.id)).toEqual(["x", "one", "two"]);
  expect(frames).toEqual([]);
});

test("levels are opened as long as few boxes are seen, and none that multiplies nothing", () => {
  expect(openAtFirst(LAYERS, 28)).toEqual(new Set(["one", "two"]));
  expect(openAtFirst(LAYERS, 4)).toEqual(new Set());
  const idle = [layer("bn", "", [], 0n), layer("bn.a", "bn", ["x"], 0n), ...LAYERS];
  expect(openAtFirst(idle, 28).has("bn")).toBe(false);
});

test("boxes are laid out inside their frames, from top to bottom, without overlap", () => {
  const { nodes, frames, edges } = collapse(LAYERS, new Set(["one", "two"]));
  const { boxes } = layOut({
    boxes: nodes.map((each) => ({ id: each.layer.id, frame: each.frame, width: 100, height: 40 })),
    frames: frames.map((each) => ({ id: each.layer.id, frame: each.frame })),
    edges,
  });
  for (const { from, to } of edges) expect(boxes[from]?.y).toBeLessThan(boxes[to]?.y ?? 0);
  for (const node of nodes.filter((each) => each.frame)) {
    const [inner, outer] = [boxes[node.layer.id], boxes[node.frame]];
    if (!inner || !outer) throw new Error("not placed");
    expect(inner.y - inner.height / 2).toBeGreaterThanOrEqual(outer.y - outer.height / 2);
    expect(inner.y + inner.height / 2).toBeLessThanOrEqual(outer.y + outer.height / 2);
  }
});
