import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { checkOptions, listOf, type OptionChecks, record, required, texts } from "../../options.js";
import { AXES, type Axes, figure, wrap } from "../figure.js";
import type { Figure, Trace } from "../plotly.js";
import { requireLength } from "../values.js";
import { labelAxis } from "./label-axis.js";

/** One of the kinds that a tile can be. */
export interface Category {
  readonly name: string;
  /** CSS hex. */
  readonly color: string;
  /** A character or two in each tile, so that no kind is told by its colour alone. */
  readonly mark: string;
}

export interface Tile {
  /** Name of a category. */
  readonly category: string;
  /** Instead of the category's mark. */
  readonly mark?: string;
  /** Shown when the pointer is on it. */
  readonly note?: string;
}

export interface TilesOptions extends Axes {
  readonly categories: readonly Category[];
  readonly rows: readonly string[];
  readonly columns: readonly string[];
}

const TILES_OPTIONS: OptionChecks<TilesOptions> = {
  ...AXES,
  categories: required(listOf(record), "a list of categories"),
  rows: required(texts, "a list of strings"),
  columns: required(texts, "a list of strings"),
};

/**
 * A table of kinds as coloured tiles with marks, `(rows, columns)`: which method works where, which verdict was found on what.
 * The legend holds the categories in their order, those that do not occur too.
 *
 * @throws when tiles and labels disagree in size, or a tile's category is none of the given ones
 */
export function tiles(table: readonly (readonly Tile[])[], options: TilesOptions): Figure {
  checkOptions("tiles", options, TILES_OPTIONS);
  const { categories, rows, columns } = options;
  if (rows.length === 0 || columns.length === 0)
    throw new ModalscopeError("tiles: there are no rows or no columns.", "There is nothing to draw.");
  requireLength(table.length, rows.length, "tiles: the table", "`rows`");
  table.forEach((row, i) => {
    requireLength(row.length, columns.length, `tiles: row ${i}`, "`columns`");
  });
  const names = categories.map(({ name }) => name);
  const indexOf = ({ category }: Tile): number => {
    const index = names.indexOf(category);
    if (index < 0)
      throw new ModalscopeError(
        `tiles: there is no category "${category}".`,
        `There are ${names.join(", ")}.`,
      );
    return index;
  };
  const across = labelAxis(columns, columns.length);
  const down = labelAxis(rows, rows.length);
  const cells = table.map((row) => row.map((tile) => ({ tile, index: indexOf(tile) })));
  const trace: Trace = {
    type: "heatmap",
    z: cells.map((row) => row.map(({ index }) => index)),
    x: across.positions,
    y: down.positions,
    zmin: -0.5,
    zmax: categories.length - 0.5,
    colorscale: stepped(categories),
    showscale: false,
    xgap: 2,
    ygap: 2,
    text: cells.map((row) => row.map(({ tile, index }) => escapeLabel(tile.mark ?? categories[index].mark))),
    texttemplate: "%{text}",
    textfont: { size: 14 },
    customdata: cells.map((row, i) =>
      row.map(({ tile }, j) => [rows[i], columns[j], tile.category, tile.note ?? ""].map(noteText)),
    ),
    hovertemplate:
      "%{customdata[0]}<br>%{customdata[1]}: <b>%{customdata[2]}</b><br>%{customdata[3]}<extra></extra>",
  };
  return figure(
    [trace, ...categories.map(legendEntry)],
    { x: "", y: "", ...options, height: options.height ?? 170 + 26 * rows.length },
    {
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" },
      xaxis: { ...across.axis, showgrid: false, showline: false, ticks: "" },
      yaxis: {
        ...down.axis,
        showgrid: false,
        zeroline: false,
        autorange: "reversed",
        showline: false,
        ticks: "",
      },
    },
  );
}

/** One flat step of the colour scale for each category. */
function stepped(categories: readonly Category[]): [number, string][] {
  const n = categories.length;
  return categories.flatMap(({ color }, i): [number, string][] => [
    [i / n, color],
    [(i + 1) / n, color],
  ]);
}

function legendEntry({ name, color, mark }: Category): Trace {
  return {
    type: "scatter",
    mode: "markers",
    name: escapeLabel(`${mark} ${name}`),
    x: [null],
    y: [null],
    marker: { color, size: 12, symbol: "square" },
  };
}

/** In lines that fit a hover label. */
const noteText = (text: string): string => wrap(text, 60).map(escapeLabel).join("<br>");
