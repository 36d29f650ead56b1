/** Tables and findings that a stream has brought, as they describe themselves. */

import { useState } from "preact/hooks";
import { type Cell, type Column, ColumnType, type Finding } from "../gen/hooke/v1/table_pb";
import { decimal } from "../parts/numbers";
import { pathOf, placeOf } from "../server/names";
import type { Table } from "../work/tables";
import { words } from "./parameters";

/** Rows that are shown at once: a table may have one for each place of a picture. */
const MOST = 1000;

interface TableProps {
  readonly table: Table;
  /** Names of columns that would say what is known already. */
  readonly without?: readonly string[];
}

/** A table with its caption; a column tells what it holds when it is pointed at. */
export function TableView({ table, without = [] }: TableProps) {
  const [most, show] = useState(MOST);
  const columns = table.columns.filter(
    ({ name }, at) =>
      !without.includes(name) &&
      (table.rows.length === 0 || table.rows.some(({ cells }) => cells[at]?.value.case)),
  );
  const left = table.rows.length - most;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and a keyboard has to reach that
    <section class="table-view" tabIndex={0} aria-label={table.caption || words(table.name)}>
      <table>
        {table.caption && <caption>{table.caption}</caption>}
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.name}
                scope="col"
                title={column.description}
                data-text={isText(column)}
              >
                {words(column.name)}
                {column.unit && ` (${column.unit})`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.slice(0, most).map((row, index) => (
            <tr key={index}>
              {columns.map((column) => (
                <td key={column.name} data-text={isText(column)}>
                  {textOf(row.cells[table.columns.indexOf(column)])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 && (
        <button type="button" class="quiet" onClick={() => show(most + MOST)}>
          Show more of {left} further rows
        </button>
      )}
    </section>
  );
}

/** What was found, with links to the places. */
export function FindingView({ finding }: { finding: Finding }) {
  return (
    <p class="finding">
      {finding.text}
      {finding.locations.map(({ layer }) => {
        const place = placeOf(layer);
        return (
          place?.layer && (
            <a key={layer} href={pathOf(place)}>
              {place.layer}
            </a>
          )
        );
      })}
    </p>
  );
}

const isText = ({ type }: Column): boolean => type === ColumnType.TEXT;

export function textOf(cell: Cell | undefined): string {
  const value = cell?.value;
  switch (value?.case) {
    case "number":
      return decimal(value.value);
    case "boolean":
      return value.value ? "yes" : "no";
    case undefined:
      return "";
    default:
      return String(value?.value);
  }
}
