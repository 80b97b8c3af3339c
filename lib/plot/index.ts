/**
 * Figures, tables and reports: `import { facets } from "modalscope/plot"`.
 * @packageDocumentation
 */

export { type Concept, concepts } from "./concepts.js";
export { type ImageOptions, rasterise, toPng, toSvg } from "./draw/draw.js";
export { type Axes, themed } from "./figure.js";
export { type BarsOptions, bars } from "./marks/bars.js";
export { type FacetsOptions, facets } from "./marks/facets.js";
export { type ForestRow, forest } from "./marks/forest.js";
export { type HeatmapOptions, heatmap } from "./marks/heatmap.js";
export { type HistogramOptions, histogram } from "./marks/histogram.js";
export type { Band } from "./marks/intervals.js";
export { type LinesOptions, lines, steps } from "./marks/lines.js";
export { type Region, type Rule, regions, rules } from "./marks/rules.js";
export { type Points, type ScatterOptions, scatter } from "./marks/scatter.js";
export type { Series, SeriesInput } from "./marks/series.js";
export { type SpectrumOptions, spectrum } from "./marks/spectrum.js";
export { type Category, type Tile, type TilesOptions, tiles } from "./marks/tiles.js";
export { formatInterval, formatP, formatPercent, formatShare } from "./numbers.js";
export type { ImageLayout } from "./overlay/cells.js";
export { imageOverlay, type OverlayOptions } from "./overlay/image-overlay.js";
export { embeddedImage, type OverlaySource, type RgbImage } from "./overlay/pixels.js";
export type { OverlayScale, OverlayValues } from "./overlay/slices.js";
export type { Axis, Figure, Layout, Margin, Placed, Title, Trace } from "./plotly.js";
export { type ReportOptions, writeReport } from "./report/write.js";
export {
  dataUri,
  type Html,
  html,
  type Image,
  image,
  type Markdown,
  markdown,
  rawHtml,
  type ViewOptions,
  view,
} from "./show/content.js";
export type { Bundle, Display } from "./show/display.js";
export { type ProgressBar, type ProgressOptions, progressBar } from "./show/progress.js";
export { save } from "./show/save.js";
export { bundleOf, show } from "./show/show.js";
export {
  type DataFrameLike,
  type Rows,
  type Table,
  type TableOptions,
  table,
} from "./show/table.js";
export { type ViewParts, viewDocument } from "./show/view-document.js";
export { palette, type Theme } from "./theme.js";
export type { Matrix, Values } from "./values.js";
