/** The document of a view: a page that can load nothing from outside. */
import { escapeHtml } from "../../escape.js";
import { fontFamily } from "../theme.js";

/** Parts of a page. `css`, `body` and `script` are taken as they are: text of models or data is escaped in them. */
export interface ViewParts {
  readonly title: string;
  /** Under the title; nothing when empty. */
  readonly subtitle?: string;
  readonly css: string;
  readonly body: string;
  readonly script: string;
}

const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/**
 * A whole HTML document with title, styles and script in it, light or dark as the reader's system is: what `view`
 * is given. Its content policy allows inline styles, inline scripts and images as data, and nothing else.
 */
export function viewDocument({ title, subtitle = "", css, body, script }: ViewParts): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escapeHtml(title)}</title>
<style>${pageCss}${css}</style>
</head>
<body>
<header><h1>${escapeHtml(title)}</h1>${subtitle === "" ? "" : `<p>${escapeHtml(subtitle)}</p>`}</header>
${body}
<script>
"use strict";
${script}
</script>
</body>
</html>
`;
}

const pageCss = `
:root { color-scheme: light dark; font: 13px/1.4 ${fontFamily}; --quiet: light-dark(#59636e, #a3adb8); }
body { box-sizing: border-box; margin: 0; padding: 10px 14px; height: 100vh; display: flex; flex-direction: column; gap: 8px;
  background: light-dark(#ffffff, #15191f); color: light-dark(#1f2328, #e2e7ed); print-color-adjust: exact; }
h1 { font-size: 17px; font-weight: 400; margin: 0; overflow-wrap: anywhere; }
header p { color: var(--quiet); margin: 0; overflow-wrap: anywhere; }
.controls { display: flex; flex-wrap: wrap; gap: 4px 22px; }
.controls label { display: flex; align-items: center; gap: 6px; }
main { flex: 1; min-height: 0; display: flex; gap: 12px; }
`;
