/** The public face of the figures, tables and reports. */
export { type BarsOptions, bars } from "./bars.js";
export {
  type Html,
  html,
  type Markdown,
  markdown,
  type Picture,
  picture,
  rawHtml,
  type ViewOptions,
  view,
} from "./content.js";
export type { Bundle, Display } from "./display.js";
export { type FacetsOptions, facets } from "./facets.js";
export { type Axes, type Figure, themed } from "./figure.js";
export { type HeatmapOptions, heatmap } from "./heatmap.js";
export { type HistogramOptions, histogram } from "./histogram.js";
export type { Band } from "./intervals.js";
export { type LinesOptions, lines, steps } from "./lines.js";
export { intervalText, percentText, pText, shareText } from "./numbers.js";
export { type ProgressBar, type ProgressOptions, progressBar } from "./progress.js";
export { writeReport } from "./report/write.js";
export { type Region, type Rule, regions, rules } from "./rules.js";
export { save } from "./save.js";
export { type Points, type ScatterOptions, scatter } from "./scatter.js";
export type { Series, SeriesInput } from "./series.js";
export { bundleOf, show } from "./show.js";
export { type SpectrumOptions, spectrum } from "./spectrum.js";
export { type PictureOptions, toPng, toSvg } from "./static.js";
export {
  type DataFrameLike,
  type Rows,
  type Table,
  type TableOptions,
  table,
} from "./table.js";
export type { Theme } from "./theme.js";
export type { Matrix, Values } from "./values.js";
