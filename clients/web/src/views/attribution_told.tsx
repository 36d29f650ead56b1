/** What a method of attribution tells beside its map: words, pictures of its own, numbers. */

import type { Picture as Made } from "../gen/hooke/v1/image_pb";
import { FindingView, TableView } from "../lens/tables";
import { ChartView } from "../pictures/chart";
import { Picture } from "../pictures/picture";
import { isFinal } from "../work/observation";
import type { Work } from "../work/work";

/** The page draws the map by itself. */
const DRAWN = "overlay";

/** Ink on paper: what parts do, as a curve, as bars, as a grid. */
const CHART = "effects";

/** The page asks about one unit and one picture, which the table's name says already. */
const KNOWN = ["target", "sample", "name"];

/** All of it. */
export function Told({ work, what }: { work: Work; what: string }) {
  const { pictures, findings, tables } = work.observation.value;
  const made = [...pictures.values()].filter((each) => isFinal(each) && each.name !== DRAWN);
  const charts = made.filter(({ name }) => name === CHART);
  const plates = made.filter(({ name }) => name !== CHART);
  const shown = tables.filter(({ name }) => name !== "targets");
  if (findings.length + made.length + shown.length === 0) return null;
  return (
    <div class="told">
      {findings.map((finding) => (
        <FindingView key={finding.text} finding={finding} />
      ))}
      {charts.map((picture) => (
        <ChartView key={keyOf(picture)} picture={picture} what={what} />
      ))}
      {plates.length > 0 && (
        <div class="plates">
          {plates.map((picture) => (
            <figure key={keyOf(picture)} class="plate">
              <Picture picture={picture} alt={`${what}: ${picture.caption || picture.name}`} />
              <figcaption>{picture.caption}</figcaption>
            </figure>
          ))}
        </div>
      )}
      {shown.map((table) => (
        <TableView key={`${table.name} ${table.item}`} table={table} without={KNOWN} />
      ))}
    </div>
  );
}

const keyOf = ({ name, layer, item }: Made): string => `${name} ${layer} ${item}`;
