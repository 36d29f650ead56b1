/** The layers of a model as a table: searched, sorted, and as long as it may be. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { go, query, withQuery } from "../address";
import type { Layer } from "../gen/hooke/v1/model_service_pb";
import { shape, short } from "../parts/numbers";
import { familyOf } from "../parts/ops";
import { pathOf } from "../server/names";

const ROW = 30;
const BEYOND = 8;

/** A column: its title, what it is sorted by, what it shows. */
interface Column {
  readonly id: string;
  readonly title: string;
  readonly key: (layer: Layer, index: number) => number | string;
  readonly show: (layer: Layer) => string;
}

const size = ({ output }: Layer): number =>
  (output?.shape ?? []).reduce((product, each) => product * Number(each.size ?? 1n), 1);

const COLUMNS: readonly Column[] = [
  { id: "layer", title: "Layer", key: (_, index) => index, show: ({ id }) => id },
  { id: "op", title: "Operation", key: ({ op }) => op, show: ({ op }) => op },
  { id: "shape", title: "Shape", key: size, show: ({ output }) => shape(output?.shape ?? []) },
  {
    id: "parameters",
    title: "Parameters",
    key: ({ parameterCount }) => Number(parameterCount),
    show: ({ parameterCount }) => (parameterCount ? short(parameterCount) : "–"),
  },
  {
    id: "macs",
    title: "MACs",
    key: ({ macs }) => Number(macs),
    show: ({ macs }) => (macs ? short(macs) : "–"),
  },
];

/** Those that fit the search, in the order asked for. */
export function chosenLayers(layers: readonly Layer[], search: string, sort: string): Layer[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = ({ id, op }: Layer) =>
    words.every((word) => `${id} ${op}`.toLowerCase().includes(word));
  const descending = sort.startsWith("-");
  const column = COLUMNS.find(({ id }) => id === sort.replace("-", ""));
  const found = layers.map((layer, index) => ({ layer, key: column?.key(layer, index) ?? index }));
  const kept = found.filter(({ layer }) => fits(layer));
  kept.sort((one, other) => (one.key < other.key ? -1 : one.key > other.key ? 1 : 0));
  if (descending) kept.reverse();
  return kept.map(({ layer }) => layer);
}

/** The table with its search; both stand in the address. */
export function LayerTable({ model, layers }: { model: string; layers: readonly Layer[] }) {
  const search = query.value.get("q") ?? "";
  const sort = query.value.get("sort") ?? "layer";
  const rows = useMemo(() => chosenLayers(layers, search, sort), [layers, search, sort]);
  const { ref, first, last, top } = useVisibleRows(rows.length);
  return (
    <section class="layer-table" aria-label="Layers">
      <div class="table-tools">
        <input
          type="search"
          aria-label="Search layers"
          placeholder="Search layers and operations"
          value={search}
          onInput={(event) => go(withQuery({ q: event.currentTarget.value }), { replace: true })}
        />
        <span class="numbers" role="status">
          {rows.length === layers.length
            ? `${rows.length} layers`
            : `${rows.length} of ${layers.length}`}
        </span>
      </div>
      <div class="rows" ref={ref} role="table" aria-label="Layers" aria-rowcount={rows.length + 1}>
        <div class="row head" role="row" aria-rowindex={1}>
          {COLUMNS.map((column) => (
            <Head key={column.id} column={column} sort={sort} />
          ))}
        </div>
        {rows.length === 0 && <p class="nothing">No layer is called that.</p>}
        <div role="rowgroup" style={{ height: `${rows.length * ROW}px`, paddingTop: `${top}px` }}>
          {rows.slice(first, last).map((layer, offset) => (
            <Row key={layer.id} model={model} layer={layer} index={first + offset} />
          ))}
        </div>
      </div>
    </section>
  );
}

function Head({ column, sort }: { column: Column; sort: string }) {
  const { id, title } = column;
  const state = sort === id ? "ascending" : sort === `-${id}` ? "descending" : "none";
  // Numbers are asked for largest first.
  const order = id === "layer" || id === "op" ? [id, `-${id}`] : [`-${id}`, id];
  const next = sort === order[0] ? order[1] : order[0];
  return (
    <div role="columnheader" aria-sort={state} class={`cell ${id}`}>
      <button type="button" onClick={() => go(withQuery({ sort: next }), { replace: true })}>
        {title}
        <span aria-hidden="true">
          {{ ascending: "\u2009↑", descending: "\u2009↓", none: "" }[state]}
        </span>
      </button>
    </div>
  );
}

function Row({ model, layer, index }: { model: string; layer: Layer; index: number }) {
  return (
    <div class="row" role="row" aria-rowindex={index + 2} data-family={familyOf(layer)}>
      {COLUMNS.map(({ id, show }) => (
        <div key={id} role="cell" class={`cell ${id}`}>
          {id === "layer" ? <LayerLink model={model} layer={layer} /> : show(layer)}
        </div>
      ))}
    </div>
  );
}

/** A layer's id, the path before its last name paler. */
export function LayerLink({ model, layer }: { model: string; layer: Layer }) {
  const own = layer.parentId ? layer.parentId.length + 1 : 0;
  return (
    <a href={pathOf({ model, layer: layer.id })} title={layer.id}>
      <span class="path">{layer.id.slice(0, own)}</span>
      {layer.id.slice(own)}
    </a>
  );
}

/** Which rows are on the screen, and a few beyond. */
function useVisibleRows(count: number) {
  const ref = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ first: 0, last: 40 });
  useEffect(() => {
    const view = ref.current;
    if (view === null) return;
    const look = () => {
      const first = Math.max(0, Math.floor(view.scrollTop / ROW) - BEYOND);
      const last = Math.ceil((view.scrollTop + view.clientHeight) / ROW) + BEYOND;
      setSeen((old) => (old.first === first && old.last === last ? old : { first, last }));
    };
    const observer = new ResizeObserver(look);
    observer.observe(view);
    view.addEventListener("scroll", look, { passive: true });
    look();
    return () => {
      observer.disconnect();
      view.removeEventListener("scroll", look);
    };
  }, [count]);
  return { ref, ...seen, top: seen.first * ROW };
}
