/** The graph of a model: click a box to look at the layer, open a module to see what is inside. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { go, query, withQuery } from "../address";
import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { Waiting } from "../parts/status";
import { askForLayout } from "./ask";
import { BoxView, FrameView, LineView } from "./boxes";
import { type Collapsed, collapse, openAtFirst } from "./collapse";
import type { Layout } from "./layout";
import { fitted, usePanZoom } from "./pan_zoom";

const BOX = { width: 212, height: 46 };

/** A window on the graph. Which modules are open stands in the address. */
export function Graph({ model, layers }: { model: string; layers: readonly Layer[] }) {
  const given = query.value.get("open");
  const graph = useMemo(() => {
    const open = given === null ? openAtFirst(layers) : new Set(given.split(",").filter(Boolean));
    return { open, collapsed: collapse(layers, open) };
  }, [layers, given]);
  const layout = useLayout(graph.collapsed);
  const { ref, window, zoom, onKeyDown } = usePanZoom();
  const fit = () => {
    const view = ref.current;
    if (view && layout)
      window.value = fitted(layout, { width: view.clientWidth, height: view.clientHeight });
  };
  useEffect(fit, [layout === undefined]);
  const toggle = (id: string) => {
    const open = new Set(graph.open);
    if (!open.delete(id)) open.add(id);
    go(withQuery({ open: [...open].join(",") || "," }), { replace: true });
  };
  const { x, y, scale } = window.value;
  return (
    <section class="graph" aria-label="Graph">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: arrow keys move what the links inside show */}
      <div class="graph-view" ref={ref} onKeyDown={onKeyDown}>
        {layout === undefined && <Waiting what="The graph" />}
        {layout && (
          <svg
            role="group"
            aria-label={`Graph of ${model}`}
            onDragStart={(event) => event.preventDefault()}
          >
            <g transform={`scale(${scale}) translate(${-x} ${-y})`}>
              {graph.collapsed.frames.map((frame) => (
                <FrameView key={frame.layer.id} node={frame} layout={layout} toggle={toggle} />
              ))}
              {layout.lines.map(({ edge, points }) => (
                <LineView key={`${edge.from} ${edge.to}`} points={points} />
              ))}
              {graph.collapsed.nodes.map((node) => (
                <BoxView
                  key={node.layer.id}
                  model={model}
                  node={node}
                  layout={layout}
                  toggle={toggle}
                />
              ))}
            </g>
          </svg>
        )}
      </div>
      <div class="graph-tools">
        <button type="button" aria-label="Enlarge" onClick={() => zoom(1.25)}>
          +
        </button>
        <button type="button" aria-label="Make smaller" onClick={() => zoom(0.8)}>
          −
        </button>
        <button type="button" onClick={fit}>
          Fit
        </button>
      </div>
    </section>
  );
}

/** The last layout that is ready, so that what is seen stays until the next one is. */
function useLayout(graph: Collapsed): Layout | undefined {
  const [layout, setLayout] = useState<{ graph: Collapsed; layout: Layout }>();
  useEffect(() => {
    const stop = new AbortController();
    const boxes = graph.nodes.map(({ layer, frame }) => ({ id: layer.id, frame, ...BOX }));
    const frames = graph.frames.map(({ layer, frame }) => ({ id: layer.id, frame }));
    askForLayout({ boxes, frames, edges: graph.edges }, stop.signal).then(
      (answer) => setLayout({ graph, layout: answer }),
      () => undefined,
    );
    return () => stop.abort();
  }, [graph]);
  return layout?.layout;
}
