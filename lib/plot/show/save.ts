/** Writes figures to files. */

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { escapeHtml, jsonForScript, sourceForScript } from "../../escape.js";
import { makeFolder } from "../../folder.js";
import { checkOptions } from "../../options.js";
import { own } from "../../own.js";
import { browserOnly, IMAGE_OPTIONS, type ImageOptions, toPng, toSvg } from "../draw/draw.js";
import { plotlyConfig, titleOf } from "../figure.js";
import type { Figure } from "../plotly.js";

const require = createRequire(import.meta.url);

type Writer = (figure: Figure, options: ImageOptions) => string | Uint8Array;

const writers: Readonly<Record<string, Writer>> = {
  ".html": (figure) => figurePage(figure),
  ".svg": toSvg,
  ".png": toPng,
  ".json": ({ data, layout }) => JSON.stringify({ data, layout }),
};

/**
 * Writes `figure` to `path` in the form that its ending names: .html (interactive, opens without a network),
 * .svg, .png or .json (plotly's). Folders on the way are made.
 * @throws when the ending is another one, or an image is asked for that needs a browser
 */
export function save(figure: Figure, path: string, options: ImageOptions = {}): void {
  checkOptions("save", options, IMAGE_OPTIONS);
  const write = own(writers, extname(path).toLowerCase());
  if (!write)
    throw new ModalscopeError(
      `A figure cannot be saved as "${path}".`,
      `The endings that it knows are ${Object.keys(writers).join(", ")}.`,
    );
  const content = write(figure, options);
  makeFolder(dirname(path));
  writeFileSync(path, content);
}

/** A page with nothing but the figure. */
export function figurePage(figure: Figure): string {
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(titleOf(figure))}</title></head>
<body style="margin:0">
<div id="figure"></div>
<script>${plotlySource([figure])}</script>
<script>
const figure = ${jsonForScript({ data: figure.data, layout: figure.layout })};
Plotly.newPlot("figure", figure.data, figure.layout, ${jsonForScript(plotlyConfig)});
</script>
</body>
</html>
`;
}

/**
 * Plotly's source, ready for a `<script>` element: the cartesian bundle where it can draw all `figures`, since
 * it has a third of the size, the whole one otherwise.
 */
export function plotlySource(figures: readonly Figure[]): string {
  const whole = figures.some((figure) => browserOnly(figure).length > 0);
  return sourceForScript(
    readFileSync(require.resolve(whole ? "plotly.js-dist" : "plotly.js-cartesian-dist"), "utf8"),
  );
}
