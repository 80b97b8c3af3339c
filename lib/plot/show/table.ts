/** Tables: rows or data frames as escaped HTML and as aligned text. */
import { didYouMean, ModalscopeError } from "../../errors.js";
import { escapeHtml } from "../../escape.js";
import {
  checkOptions,
  either,
  integer,
  type OptionChecks,
  optional,
  record,
  text,
  texts,
} from "../../options.js";

/** One object per row, all with the same keys (a missing one is an empty cell). */
export type Rows = readonly Readonly<Record<string, unknown>>[];

/** The fields of a danfo.js DataFrame that are read here. */
export interface DataFrameLike {
  readonly columns: readonly string[];
  readonly values: unknown;
}

/** Options of {@link table}. */
export interface TableOptions {
  /** A line above the table. */
  readonly caption?: string;
  /** Columns in their order; all when left out. */
  readonly columns?: readonly string[];
  /** Rows shown; the rest is counted. 50 when left out. */
  readonly limit?: number;
  /** Significant digits of numbers; 4 when left out. */
  readonly digits?: number;
  /** Formatters of columns' values, by the columns' names. */
  readonly format?: Readonly<Record<string, (value: unknown) => string>>;
  /** Columns in which an empty cell belongs to the one above it. */
  readonly spanning?: readonly string[];
}

/** A table that is ready to show: its cells are text. */
export interface Table {
  readonly kind: "table";
  readonly caption: string;
  readonly columns: readonly {
    readonly name: string;
    readonly numeric: boolean;
    /** An empty cell belongs to the one above it. */
    readonly spanning?: boolean;
  }[];
  readonly cells: readonly (readonly string[])[];
  /** Rows there are, of which `cells` may be the first. */
  readonly total: number;
}

const TABLE_OPTIONS: OptionChecks<TableOptions> = {
  caption: text,
  columns: texts,
  limit: either(
    integer(0),
    optional("Infinity", (v) => v === Number.POSITIVE_INFINITY),
  ),
  digits: integer(1),
  format: record,
  spanning: texts,
};

/**
 * A table of rows or of a danfo DataFrame.
 * @throws when a column that is asked for does not exist, or a frame's values are not rows
 */
export function table(input: Rows | DataFrameLike, options: TableOptions = {}): Table {
  checkOptions("table", options, TABLE_OPTIONS);
  const rows = isRows(input) ? input : frameRows(input);
  const names = isRows(input) ? [...new Set(rows.flatMap(Object.keys))] : input.columns;
  const columns = options.columns ?? names;
  const spanning = options.spanning ?? [];
  for (const name of [...columns, ...Object.keys(options.format ?? {}), ...spanning])
    if (!names.includes(name))
      throw new ModalscopeError(
        `The table has no column "${name}".`,
        `Its columns are ${names.join(", ") || "none"}.`,
        didYouMean(name, names),
      );
  const shown = rows.slice(0, options.limit ?? 50);
  const write = (name: string) =>
    options.format?.[name] ?? ((value: unknown) => cellText(value, options.digits));
  return {
    kind: "table",
    caption: options.caption ?? "",
    columns: columns.map((name) => ({
      name,
      numeric: isNumeric(shown.map((row) => row[name])),
      ...(spanning.includes(name) && { spanning: true }),
    })),
    cells: shown.map((row) => columns.map((name) => write(name)(row[name]))),
    total: rows.length,
  };
}

/** Characters from which on a cell's text needs several lines, and up to which it is kept in one. */
const LONG_TEXT = 80;
const SHORT_TEXT = 28;
/** Characters of a line of such a cell at least, of a word that may be broken, and of a row on a telephone. */
const LINE = 20;
const LONG_WORD = 24;
const NARROW = 50;

/**
 * A table as escaped HTML. Where its rows are too wide for a narrow page, its cells name their columns, so that a page may
 * put them below each other.
 */
export function tableHtml(table: Table): string {
  const texts = table.columns.map(({ name }, i) => ({ name, cells: table.cells.map((row) => row[i]) }));
  const styles = texts.map(({ cells }, i) => {
    const longest = longestOf(cells);
    // On a narrow page a column of sentences would be a word wide, and figures would leave their intervals.
    const width =
      longest > LONG_TEXT ? ";min-width:10em" : longest <= SHORT_TEXT ? ";white-space:nowrap" : "";
    const broken = longestWord(cells) > LONG_WORD ? ";overflow-wrap:anywhere" : "";
    return `text-align:${table.columns[i].numeric ? "right" : "left"}${width}${broken}`;
  });
  const least = texts.map(({ name, cells }) => Math.max(longestWord([name]), leastWidth(cells)) + PADDING);
  const wide = least.reduce((a, b) => a + b, 0) > NARROW;
  const label = (i: number): string => (wide ? ` data-column="${escapeHtml(table.columns[i].name)}"` : "");
  const head = table.columns.map(({ name }, i) => `<th style="${styles[i]}">${escapeHtml(name)}</th>`);
  const top = table.columns.some(({ spanning }) => spanning) ? ";vertical-align:top" : "";
  const body = table.cells.map((row, r) => {
    const cells = row.map((text, i) => {
      if (continues(table, r, i)) return "";
      const span = table.columns[i].spanning ? ` rowspan="${rowsBelow(table, r, i)}"` : "";
      return `<td${span}${label(i)} style="${styles[i]}${top}">${escapeHtml(text)}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  const caption = table.caption
    ? `<caption style="text-align:left;font-weight:600;padding:4px 0">${escapeHtml(table.caption)}</caption>`
    : "";
  const rest = left(table);
  return (
    `<table class="modalscope${wide ? " wide" : ""}" style="border-collapse:collapse;font-variant-numeric:tabular-nums">${caption}` +
    `<thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>` +
    (rest ? `<p>${escapeHtml(rest)}</p>` : "")
  );
}

/** Characters that the space beside a cell's text takes. */
const PADDING = 3;

const longestOf = (texts: readonly string[]): number =>
  texts.reduce((most, { length }) => Math.max(most, length), 0);
const longestWord = (texts: readonly string[]): number =>
  longestOf(texts.flatMap((text) => text.split(/\s+/)));

/** Characters that a column needs. */
function leastWidth(cells: readonly string[]): number {
  const longest = longestOf(cells);
  if (longest > LONG_TEXT) return LINE;
  return longest <= SHORT_TEXT ? longest : Math.min(LONG_WORD, longestWord(cells));
}

/** Whether a cell belongs to the one above it: in the first row none does. */
const continues = ({ cells, columns }: Table, row: number, column: number): boolean =>
  row > 0 && columns[column].spanning === true && cells[row][column] === "";

/** Rows of a cell: its own, and those below that belong to it. */
function rowsBelow(table: Table, row: number, column: number): number {
  let end = row + 1;
  while (end < table.cells.length && continues(table, end, column)) end++;
  return end - row;
}

/** Columns of text from which on a table's cells are broken between words, and those that such a cell then has at most. */
const WIDE = 120;
const WRAPPED = 60;

/** A table as aligned text, for clients without HTML. */
export function tableText(table: Table): string {
  const texts = [table.columns.map(({ name }) => name), ...table.cells].map((row) => row.map(oneLine));
  const isWide = texts.some((row) => columnsOf(row.join("  ")) > WIDE);
  const rows = texts.map((row) => row.map((text) => (isWide ? wrapped(text) : [text])));
  const widths = table.columns.map((_, i) => Math.max(...rows.flatMap((row) => row[i].map(columnsOf))));
  const lines = rows.map((row) =>
    Array.from({ length: Math.max(...row.map((cell) => cell.length)) }, (_, l) =>
      row
        .map((cell, i) => {
          const text = cell[l] ?? "";
          const space = " ".repeat(widths[i] - columnsOf(text));
          return table.columns[i].numeric ? space + text : text + space;
        })
        .join("  ")
        .trimEnd(),
    ).join("\n"),
  );
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [table.caption, lines[0], rule, ...lines.slice(1), left(table)].filter(Boolean).join("\n");
}

/** Lines of a cell's text; a word is never broken. */
function wrapped(text: string): string[] {
  if (columnsOf(text) <= WRAPPED) return [text];
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]} ${word}` : word;
    if (lines.length > 0 && columnsOf(longer) <= WRAPPED) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** A cell's value as text; numbers with `digits` significant digits. */
export function cellText(value: unknown, digits = 4): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return numberText(value, digits);
  if (isListLike(value)) return `[${Array.from(value, (v) => cellText(v, digits)).join(", ")}]`;
  return typeof value === "object" && !(value instanceof Date) ? JSON.stringify(value) : String(value);
}

const isListLike = (value: unknown): value is ArrayLike<unknown> =>
  ArrayBuffer.isView(value) || Array.isArray(value);

function numberText(value: number, digits: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const text =
    size < 1e-4 || size >= 1e9
      ? value.toExponential(digits - 1)
      : value.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
  return text.replace(/^-/, "−");
}

const isRows = (input: Rows | DataFrameLike): input is Rows => Array.isArray(input);

function frameRows(frame: DataFrameLike): Rows {
  if (!Array.isArray(frame.columns) || !Array.isArray(frame.values) || !frame.values.every(Array.isArray))
    throw new ModalscopeError(
      "This is neither rows nor a data frame.",
      "A table is made of an array of objects, or of a DataFrame with `columns` and `values`.",
    );
  return frame.values.map((row: unknown[]) =>
    Object.fromEntries(frame.columns.map((name, i) => [name, row[i]])),
  );
}

function isNumeric(values: readonly unknown[]): boolean {
  const present = values.filter((value) => value !== null && value !== undefined);
  return (
    present.length > 0 && present.every((value) => typeof value === "number" || typeof value === "bigint")
  );
}

const left = (table: Table): string =>
  table.total > table.cells.length
    ? `… and ${table.total - table.cells.length} more rows of ${table.total}`
    : "";

const oneLine = (text: string): string => text.replace(/\r?\n/g, "\\n").replace(/\t/g, "\\t");

/** Columns that `text` takes in a terminal: East Asian letters are two wide. */
function columnsOf(text: string): number {
  return [...text].reduce(
    (sum, c) =>
      sum +
      (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u.test(
        c,
      )
        ? 2
        : 1),
    0,
  );
}
