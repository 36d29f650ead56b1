/** Evidence for and against an attribution: a row for each measure, and curves. */

import type { Cell, Column, Finding, Row } from "../gen/hooke/v1/table_pb";
import { ColumnType } from "../gen/hooke/v1/table_pb";
import { ChartView } from "../pictures/chart";
import type { Observation } from "../work/observation";
import type { Table } from "../work/tables";
import { words } from "./parameters";
import { textOf } from "./tables";

/** The table's name. */
export const EVIDENCE = "evidence";

/** What an observation holds of it; `what` has the evidence spoken for or against. */
export function EvidenceView({ observation, what }: { observation: Observation; what: string }) {
  const { tables, findings, pictures, result } = observation;
  const table = tables.find(({ name }) => name === EVIDENCE);
  const rows = table?.rows ?? [];
  if (table === undefined || (rows.length === 0 && result === undefined)) return null;
  if (rows.length === 0) return <p>Nothing that was asked for can be measured of this answer.</p>;
  return (
    <>
      {findings.map((finding) => (
        <Verdict key={finding.text} finding={finding} table={table} />
      ))}
      <div class="evidence">
        <Measures table={table} />
        <div class="charts">
          {[...pictures.entries()].map(([key, picture]) => (
            <ChartView key={key} picture={picture} what={what} />
          ))}
        </div>
      </div>
    </>
  );
}

/** In a line what the rows say one by one: a finding repeats their words. */
function Verdict({ finding, table }: { finding: Finding; table: Table }) {
  const judged = table.rows
    .map((row) => judgement(table, row))
    .filter((each) => each !== undefined);
  const good = judged.filter(Boolean).length;
  return (
    <p class="verdict" data-kind={finding.kind} title={finding.text}>
      <strong>{words(finding.kind)}</strong>
      {judged.length > 0 && ` ${good} of ${judged.length} measures speak for it.`}
    </p>
  );
}

/** Measure and verdict, and beside them whatever numbers there are. */
function Measures({ table }: { table: Table }) {
  const numbers = table.columns.filter(
    ({ type }, at) =>
      type === ColumnType.NUMBER && table.rows.some(({ cells }) => cells[at]?.value.case),
  );
  return (
    <table class="measured">
      <caption class="visually-hidden">{table.caption}</caption>
      <thead>
        <tr>
          <th scope="col">measure</th>
          {numbers.map(({ name, description }) => (
            <th key={name} scope="col" title={description}>
              {words(name)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {table.rows.map((row, index) => (
          <tr key={index}>
            <th scope="row">
              <Mark good={judgement(table, row)} />
              {words(textOf(cellOf(table, row, "measure")))}
              <span class="said">{textOf(cellOf(table, row, "verdict"))}</span>
            </th>
            {numbers.map((column) => (
              <td key={column.name}>{textOf(cellAt(table, row, column))}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Mark({ good }: { good: boolean | undefined }) {
  if (good === undefined) return <span class="mark" aria-hidden="true" />;
  return (
    <span class="mark" data-good={good} role="img" aria-label={good ? "good:" : "bad:"}>
      {good ? "✓" : "✗"}
    </span>
  );
}

/** Whether a row speaks for the answer, where it says so. */
function judgement(table: Table, row: Row): boolean | undefined {
  const value = cellOf(table, row, "good")?.value;
  return value?.case === "boolean" ? value.value : undefined;
}

const cellAt = ({ columns }: Table, { cells }: Row, column: Column): Cell | undefined =>
  cells[columns.indexOf(column)];

const cellOf = ({ columns }: Table, { cells }: Row, named: string): Cell | undefined =>
  cells[columns.findIndex(({ name }) => name === named)];
