/** A grid's table with types, for pandas, DuckDB and danfo, beside the one in text. */
import { displayValue, type ParameterValue } from "../parameters/values.js";
import { columnName, fromTable, type GridRow, parameterNames } from "./summary.js";

/** @param path of the table in text */
export async function summaryParquet(path: string, rows: readonly GridRow[]): Promise<Uint8Array> {
  // Loaded only here: single runs have no table.
  const { parquetWriteBuffer } = await import("hyparquet-writer");
  return new Uint8Array(parquetWriteBuffer({ columnData: tableColumns(rows, path) }));
}

export function parquetPath(summary: string): string {
  return `${summary.replace(/\.csv$/i, "")}.parquet`;
}

interface TableColumn {
  name: string;
  type: "BOOLEAN" | "INT32" | "INT64" | "DOUBLE" | "STRING";
  data: (boolean | number | bigint | string | null)[];
}

function tableColumns(rows: readonly GridRow[], path: string): TableColumn[] {
  const text = (name: string, of: (row: GridRow) => string | undefined): TableColumn => ({
    name,
    type: "STRING",
    data: rows.map((row) => of(row) ?? null),
  });
  return [
    ...parameterNames(rows).map((name) =>
      typedColumn(
        columnName(name),
        rows.map(({ parameters }) => (Object.hasOwn(parameters, name) ? parameters[name] : null)),
      ),
    ),
    text("status", ({ status }) => status),
    { name: "seconds", type: "DOUBLE", data: rows.map(({ seconds }) => seconds ?? null) },
    text("cell", ({ error }) => error?.cell),
    text("error", ({ error }) => error?.message),
    text("output", ({ output }) => fromTable(path, output)),
  ];
}

/** The narrowest type that holds all values; what has none of its own is text. */
function typedColumn(name: string, values: readonly ParameterValue[]): TableColumn {
  const given = values.filter((value) => value !== null);
  const all = (test: (value: ParameterValue) => boolean): boolean => given.length > 0 && given.every(test);
  if (all((value) => typeof value === "boolean"))
    return { name, type: "BOOLEAN", data: values as (boolean | null)[] };
  if (all((value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31))
    return { name, type: "INT32", data: values as (number | null)[] };
  if (all(isInt64)) {
    const data = values.map((value) => (value === null ? null : BigInt(value as number | bigint)));
    return { name, type: "INT64", data };
  }
  if (all((value) => typeof value === "number"))
    return { name, type: "DOUBLE", data: values as (number | null)[] };
  const data = values.map((value) =>
    value === null || typeof value === "string" ? value : displayValue(value),
  );
  return { name, type: "STRING", data };
}

function isInt64(value: ParameterValue): boolean {
  if (typeof value === "bigint") return BigInt.asIntN(64, value) === value;
  return Number.isSafeInteger(value);
}
