/** A grid of units, each with what it responds to, filling in while the server works. */

import { useSignal } from "@preact/signals";
import { go, query, withQuery } from "../address";
import type { Picture as Made } from "../gen/hooke/v1/image_pb";
import { sheetRequest } from "../lens/request";
import { WorkStatus } from "../parts/status";
import { SpriteTile, useUrl } from "../pictures/picture";
import { type Place, pathOf } from "../server/names";
import { useServer } from "../server/server";
import { keyOf, previewKey } from "../work/observation";
import { useWork } from "../work/work";

const AT_A_TIME = 96;
const DEFAULTS = { steps: 24, size: 64 };

/** One request for all units of a page: previews of each as they climb, then one sheet. */
export function UnitSheet({ place, unitCount }: { place: Place; unitCount: number }) {
  const server = useServer();
  const round = useSignal(0);
  const first = Math.min(number("from", 0), Math.max(0, unitCount - 1));
  const last = Math.min(unitCount, first + number("count", AT_A_TIME));
  const units = Array.from({ length: last - first }, (_, index) => first + index);
  const how = { steps: number("steps", DEFAULTS.steps), size: number("size", DEFAULTS.size) };
  const request = sheetRequest(place, units, how);
  const key = `${pathOf(place)} ${first} ${last} ${how.steps} ${how.size} ${round.value}`;
  const work = useWork((signal) => server.visualization.visualize(request, { signal }), key);
  if (work === undefined) return null;
  const { pictures } = work.observation.value;
  const sheet = [...pictures.values()].find(({ name }) => name === "sprite_sheet");
  return (
    <section aria-label="Units">
      <div class="bar">
        <WorkStatus work={work} again={() => round.value++} what="Pictures of the units" />
        <Detail how={how} />
      </div>
      <ol class="units" start={first}>
        {units.map((unit, item) => (
          <UnitCell
            key={unit}
            place={{ ...place, unit }}
            preview={pictures.get(previewKey(item))}
            sheet={sheet}
            item={item}
            pending={work.active}
          />
        ))}
      </ol>
      <Pager first={first} last={last} count={unitCount} />
    </section>
  );
}

interface CellProps {
  readonly place: Place;
  readonly preview: Made | undefined;
  readonly sheet: Made | undefined;
  readonly item: number;
  readonly pending: boolean;
}

function UnitCell({ place, preview, sheet, item, pending }: CellProps) {
  const tile = sheet?.tiles.find((each) => each.item === item);
  const sheetUrl = useSheetUrl(sheet);
  return (
    <li>
      <a href={pathOf(place)} class="unit" data-pending={pending && !preview && !tile}>
        {sheet && tile && sheetUrl ? (
          <SpriteTile url={sheetUrl} sheet={sheet} tile={tile} />
        ) : (
          preview && <Preview key={keyOf(preview)} picture={preview} />
        )}
        <span class="unit-name">
          <span class="visually-hidden">unit </span>
          {place.unit}
        </span>
      </a>
    </li>
  );
}

function Preview({ picture }: { picture: Made }) {
  return <img src={useUrl(picture)} alt="" />;
}

const urls = new WeakMap<Made, string>();

/** One address for all tiles of a sheet, which the browser forgets with the page. */
function useSheetUrl(sheet: Made | undefined): string | undefined {
  if (sheet === undefined) return undefined;
  const known = urls.get(sheet);
  if (known !== undefined) return known;
  const bytes = sheet.data as Uint8Array<ArrayBuffer>;
  const url = URL.createObjectURL(new Blob([bytes], { type: sheet.mimeType }));
  urls.set(sheet, url);
  return url;
}

function Detail({ how }: { how: { steps: number; size: number } }) {
  const choose = (event: Event) => {
    const [steps, size] = (event.currentTarget as HTMLSelectElement).value.split(",");
    go(withQuery({ steps, size }), { replace: true });
  };
  const present = `${how.steps},${how.size}`;
  const choices = {
    "24,64": "a glance",
    "64,64": "a look",
    "128,96": "a long look",
    "256,128": "in full",
  };
  return (
    <label class="inline">
      Take{" "}
      <select onChange={choose}>
        {present in choices || <option selected>{`${how.steps} steps, ${how.size} px`}</option>}
        {Object.entries(choices).map(([value, title]) => (
          <option key={value} value={value} selected={value === present}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

function Pager({ first, last, count }: { first: number; last: number; count: number }) {
  if (first === 0 && last === count) return null;
  const width = last - first;
  const before = first > 0 && String(Math.max(0, first - width));
  return (
    <nav class="pager" aria-label="More units">
      {before && <a href={withQuery({ from: before === "0" ? undefined : before })}>← earlier</a>}
      <span class="numbers">
        units {first}–{last - 1} of {count}
      </span>
      {last < count && <a href={withQuery({ from: String(last) })}>later →</a>}
    </nav>
  );
}

function number(name: string, otherwise: number): number {
  const given = Number.parseInt(query.value.get(name) ?? "", 10);
  return Number.isNaN(given) || given < 0 ? otherwise : given;
}
