/** The frame of the page: where we are, and the view for that. */

import { useEffect } from "preact/hooks";
import { path } from "./address";
import { type Place, pathOf, placeOf } from "./server/names";
import { CompareView } from "./views/compare";
import { LayerView } from "./views/layer";
import { ModelView } from "./views/model";
import { ModelsView } from "./views/models";
import { PhotographView } from "./views/photograph";
import { UnitView } from "./views/unit";

/** What a path shows. */
export type Route =
  | { readonly view: "models" | "compare" | "unknown" }
  | { readonly view: "place" | "photograph"; readonly place: Place };

/** Read a path. */
export function routeOf(path: string): Route {
  if (path === "/") return { view: "models" };
  if (path === "/compare") return { view: "compare" };
  const place = placeOf(path);
  if (place) return { view: "place", place };
  const shown = /^(\/models\/[^/]+)\/photograph$/.exec(path)?.[1];
  const model = shown === undefined ? undefined : placeOf(shown);
  return model ? { view: "photograph", place: model } : { view: "unknown" };
}

/** Everything. */
export function App() {
  const route = routeOf(path.value);
  const place = "place" in route ? route.place : undefined;
  useEffect(() => {
    document.title = place ? `${titleOf(place)} · Hooke` : "Hooke";
  }, [path.value]);
  return (
    <>
      <a class="skip" href="#view">
        Skip to the view
      </a>
      <header class="masthead">
        <a class="wordmark" href="/" aria-label="Hooke, all models">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <circle cx="12" cy="12" r="10.5" />
            <circle cx="12" cy="12" r="4.5" />
          </svg>
          <span>Hooke</span>
        </a>
        <nav aria-label="Where we are">{place && <Crumbs place={place} />}</nav>
        <a href="/compare" aria-current={route.view === "compare" ? "page" : undefined}>
          Compare
        </a>
      </header>
      <main id="view" tabIndex={-1} key={path.value}>
        <View route={route} />
      </main>
    </>
  );
}

function View({ route }: { route: Route }) {
  if (route.view === "models") return <ModelsView />;
  if (route.view === "compare") return <CompareView />;
  if (!("place" in route))
    return (
      <div class="page">
        <header class="title">
          <h1>There is nothing at this address</h1>
        </header>
        <p>
          It may be of another server. <a href="/">All models</a> of this one.
        </p>
      </div>
    );
  const { model, layer, unit } = route.place;
  if (route.view === "photograph") return <PhotographView id={model} />;
  if (layer === undefined) return <ModelView id={model} />;
  if (unit === undefined) return <LayerView place={{ model, layer }} />;
  return <UnitView place={{ model, layer, unit }} />;
}

function Crumbs({ place: { model, layer, unit } }: { place: Place }) {
  return (
    <ol class="crumbs">
      <li>
        <a href={pathOf({ model })}>{model}</a>
      </li>
      {layer !== undefined && (
        <li>
          <a href={pathOf({ model, layer })}>{layer}</a>
        </li>
      )}
      {unit !== undefined && <li aria-current="page">{unit}</li>}
    </ol>
  );
}

function titleOf({ model, layer, unit }: Place): string {
  const parts = [unit === undefined ? undefined : `unit ${unit}`, layer, model];
  return parts.filter((each) => each !== undefined).join(" · ");
}
