/** What a graph is drawn of. */

import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { shape } from "../parts/numbers";
import { familyOf } from "../parts/ops";
import { pathOf } from "../server/names";
import type { Node } from "./collapse";
import type { Layout } from "./layout";

interface Drawn {
  readonly node: Node;
  readonly layout: Layout;
  readonly toggle: (id: string) => void;
}

/** A layer, or a closed module with a button that opens it. */
export function BoxView({ node, layout, toggle, model }: Drawn & { model: string }) {
  const { layer, closed } = node;
  const placed = layout.boxes[layer.id];
  if (placed === undefined) return null; // the layout is that of a moment ago
  const { width, height } = placed;
  const own = layer.id.slice(layer.parentId ? layer.parentId.length + 1 : 0);
  const shown = cut(/^\d+$/.test(own) ? layer.id : own, 22);
  const about = facts(layer);
  return (
    <g
      class="box"
      data-family={familyOf(layer)}
      data-closed={closed}
      transform={`translate(${placed.x - width / 2} ${placed.y - height / 2})`}
    >
      <a href={pathOf({ model, layer: layer.id })}>
        {closed && <rect class="box-behind" x="4" y="4" width={width} height={height} rx="7" />}
        <rect class="box-front" width={width} height={height} rx="7" />
        <rect class="box-family" width="3" height={height - 20} x="9" y="10" rx="1.5" />
        <text x="20" y="20" class="box-name">
          {shown}
        </text>
        <text x="20" y="36" class="box-facts">
          {about}
        </text>
      </a>
      {closed && (
        <Toggle
          x={width - 16}
          y={15}
          label={`Open ${layer.id}`}
          sign="+"
          toggle={() => toggle(layer.id)}
        />
      )}
    </g>
  );
}

/** The frame around what is inside an open module. */
export function FrameView({ node, layout, toggle }: Drawn) {
  const { id } = node.layer;
  const placed = layout.boxes[id];
  if (placed === undefined) return null;
  const { width, height } = placed;
  return (
    <g class="frame" transform={`translate(${placed.x - width / 2} ${placed.y - height / 2})`}>
      <rect width={width} height={height} rx="12" />
      <text x="12" y="17">
        {cut(id, Math.max(6, Math.floor((width - 40) / 6.6)))}
      </text>
      <Toggle x={width - 15} y={13} label={`Close ${id}`} sign="−" toggle={() => toggle(id)} />
    </g>
  );
}

/** A line along corners, rounded. */
export function LineView({ points }: { points: readonly { x: number; y: number }[] }) {
  const [first, ...rest] = points;
  const last = rest.pop();
  if (first === undefined || last === undefined) return null;
  let path = `M${first.x},${first.y}`;
  for (const [index, corner] of rest.entries()) {
    const next = rest[index + 1] ?? last;
    const end = next === last ? last : { x: (corner.x + next.x) / 2, y: (corner.y + next.y) / 2 };
    path += `Q${corner.x},${corner.y} ${end.x},${end.y}`;
  }
  if (rest.length === 0) path += `L${last.x},${last.y}`;
  return (
    <g class="line">
      <path d={path} />
      <path
        class="line-end"
        d={`M${last.x - 4},${last.y - 6}L${last.x},${last.y}L${last.x + 4},${last.y - 6}`}
      />
    </g>
  );
}

function Toggle(props: { x: number; y: number; label: string; sign: string; toggle: () => void }) {
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    props.toggle();
  };
  return (
    <g
      class="toggle"
      role="button"
      tabindex={0}
      aria-label={props.label}
      onClick={props.toggle}
      onKeyDown={key}
    >
      <circle cx={props.x} cy={props.y} r="9" />
      <text x={props.x} y={props.y + 4}>
        {props.sign}
      </text>
    </g>
  );
}

/** Operation and shape; of the two the operation is cut. */
function facts(layer: Layer): string {
  const size = shape(layer.output?.shape ?? []);
  return `${cut(layer.op, Math.max(6, 27 - size.length))} · ${size}`;
}

const cut = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text;
