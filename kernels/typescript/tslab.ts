/**
 * What notebooks written for tslab import as `tslab`: its displays, ended in this kernel. The package's own would bring a
 * second TypeScript, of 38 MB, and displays in the kernel that it belongs to only. Names and MIME types as in tslab 1.0.22.
 */
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import type { Display as KernelDisplay } from "../../lib/display.js";
import { ModalscopeError } from "../../lib/errors.js";

/** Shows contents of one MIME type each. */
export interface Display {
  javascript(s: string): void;
  html(s: string): void;
  markdown(s: string): void;
  latex(s: string): void;
  svg(s: string): void;
  png(b: Uint8Array): void;
  jpeg(b: Uint8Array): void;
  gif(b: Uint8Array): void;
  pdf(b: Uint8Array): void;
  text(s: string): void;
  raw(contentType: string, b: string | Uint8Array): void;
}

/** Versions of the tslab whose interface this is, of the cells' TypeScript, and of Node. */
export const versions: { readonly tslab: string; readonly typescript: string; readonly node: string } = {
  tslab: "1.0.22",
  typescript: (createRequire(import.meta.url)("typescript/package.json") as { version: string }).version,
  node: process.version,
};

/** Shows rich contents. */
export const display: Display = displayOf((bundle) => kernelDisplay().display(bundle));

/** A display of its own that each further content replaces. */
export function newDisplay(): Display {
  const displayId = randomBytes(8).toString("hex");
  let shown = false;
  return displayOf((bundle) => {
    if (shown) kernelDisplay().update(displayId, bundle);
    else kernelDisplay().display(bundle, { displayId });
    shown = true;
  });
}

function displayOf(show: (bundle: Record<string, unknown>) => void): Display {
  const as =
    (type: string) =>
    (content: string | Uint8Array): void =>
      show({ [type]: content });
  return {
    javascript: as("text/javascript"),
    html: as("text/html"),
    markdown: as("text/markdown"),
    latex: as("text/latex"),
    svg: as("image/svg+xml"),
    png: as("image/png"),
    jpeg: as("image/jpeg"),
    gif: as("image/gif"),
    pdf: as("application/pdf"),
    text: as("text/plain"),
    raw: (type, content) => as(type)(content),
  };
}

const key = Symbol.for("modalscope.display");

function kernelDisplay(): KernelDisplay {
  const found = (globalThis as { [key]?: KernelDisplay })[key];
  if (found !== undefined) return found;
  throw new ModalscopeError("There is no notebook to show this in.", "tslab's displays work in cells only.");
}
