/** Tables, row by row. */

import type { Column, Row, TableHeader, TableRows } from "../gen/hooke/v1/table_pb";

/** A table as far as it has come. */
export interface Table {
  readonly name: string;
  readonly caption: string;
  readonly item: number;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** Takes headers and rows of several tables at once. */
export class Tables {
  private readonly open = new Map<bigint, { header: TableHeader; rows: Row[] }>();

  begin(header: TableHeader): void {
    this.open.set(header.tableId, { header, rows: [] });
  }

  add({ tableId, rows }: TableRows): void {
    this.open.get(tableId)?.rows.push(...rows);
  }

  /** All of them, in the order in which they were opened. */
  get now(): Table[] {
    return [...this.open.values()].map(({ header, rows }) => {
      const { name, caption, item, columns } = header;
      return { name, caption, item, columns, rows: [...rows] };
    });
  }
}
