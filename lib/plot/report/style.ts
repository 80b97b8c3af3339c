/** The report's style sheet: light and dark by `light-dark()`, one column with a list of contents beside it. */
export const css = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#ffffff, #15191f);
  --side: light-dark(#f6f8fa, #101419);
  --text: light-dark(#1f2328, #e2e7ed);
  --muted: light-dark(#59636e, #a3adb8);
  --line: light-dark(#d9dee4, #2f3741);
  --code: light-dark(#f6f8fa, #1b2129);
  --link: light-dark(#0969da, #6cb6ff);
  --good: light-dark(#1a7f37, #4ac26b);
  --bad: light-dark(#cf222e, #ff7b72);
  --wait: light-dark(#9a6700, #d4a72c);
  --bad-paper: light-dark(#fff1f0, #2b1719);
  --keyword: light-dark(#cf222e, #ff7b72);
  --string: light-dark(#0a3069, #a5d6ff);
  --number: light-dark(#0550ae, #79c0ff);
  --name: light-dark(#6639ba, #d2a8ff);
  font: 16px/1.6 Inter, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  scroll-padding-top: 16px;
}
:root[data-theme="light"] { color-scheme: light; }
:root[data-theme="dark"] { color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--text); }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre, kbd { font-family: ui-monospace, SFMono-Regular, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
nav.contents {
  position: fixed; inset: 0 auto 0 0; width: 272px; overflow: auto; padding: 20px 18px 40px;
  background: var(--side); border-right: 1px solid var(--line); font-size: 13.5px; line-height: 1.45;
}
nav.contents ol { list-style: none; margin: 0; padding: 0; }
nav.contents li { margin: 5px 0; }
nav.contents li.level-2 { padding-left: 12px; }
nav.contents li.level-3 { padding-left: 26px; font-size: 12.5px; }
nav.contents li.notebook { margin-top: 18px; font-weight: 600; }
nav.contents a { color: inherit; }
main { margin-left: 272px; padding: 24px 40px 80px; }
main > * { max-width: 900px; margin-left: auto; margin-right: auto; }
.tools { display: flex; gap: 8px; margin-bottom: 8px; }
.tools button {
  font: inherit; font-size: 12.5px; padding: 3px 10px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--side); color: var(--text); cursor: pointer;
}
h1, h2, h3, h4 { line-height: 1.25; margin: 1.6em 0 0.6em; }
h1 { font-size: 1.8em; }
h2 { font-size: 1.4em; border-bottom: 1px solid var(--line); padding-bottom: 0.25em; }
h3 { font-size: 1.15em; }
header h1, .provenance + .cell h1:first-child { margin-top: 0.4em; }
section.notebook { border-top: 3px solid var(--line); margin-top: 56px; padding-top: 4px; }
.status { font-size: 0.8em; font-weight: 600; padding: 2px 8px; border-radius: 10px; border: 1px solid; white-space: nowrap; }
.status.passed { color: var(--good); }
.status.failed { color: var(--bad); }
.status.incomplete, .status.unreadable { color: var(--wait); }
.provenance { font-size: 13.5px; color: var(--muted); margin: 8px 0 24px; }
.provenance summary { cursor: pointer; }
.provenance dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 8px 0; }
.provenance dd { margin: 0; overflow-wrap: anywhere; color: var(--text); }
.cell { margin: 14px 0; }
.cell.failed { border-left: 4px solid var(--bad); background: var(--bad-paper); padding: 8px 12px; border-radius: 4px; }
details.code { font-size: 13px; color: var(--muted); }
details.code summary { cursor: pointer; user-select: none; }
details.code pre { color: var(--text); }
pre { background: var(--code); border-radius: 6px; padding: 10px 14px; overflow: auto; font-size: 13px; line-height: 1.5; margin: 8px 0; }
pre.text { max-height: 480px; background: none; border-left: 3px solid var(--line); border-radius: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
pre.stderr { border-left-color: var(--wait); color: var(--muted); }
pre.problem { border-left-color: var(--wait); color: var(--wait); font-style: italic; }
pre.error { border-left-color: var(--bad); color: var(--bad); max-height: none; }
:not(pre) > code { background: var(--code); padding: 0.15em 0.35em; border-radius: 4px; font-size: 0.88em; }
img { max-width: 100%; height: auto; }
.rich, .prose { overflow-x: auto; }
table { border-collapse: collapse; margin: 12px 0; font-size: 14px; }
th, td { padding: 4px 12px; border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--line); }
tbody tr:hover { background: var(--code); }
caption { color: var(--text); }
blockquote { margin: 1em 0; padding: 0 1em; border-left: 3px solid var(--line); color: var(--muted); }
math[display="block"] { margin: 0.8em 0; overflow-x: auto; overflow-y: hidden; }
math { font-size: 1.08em; }
.figure { margin: 12px 0; overflow: auto hidden; }
.scripted .figure > img { display: none; }
.figure .plot { width: 100%; }
.hljs-comment, .hljs-quote { color: var(--muted); font-style: italic; }
.hljs-keyword, .hljs-operator { color: var(--keyword); }
.hljs-string, .hljs-regexp, .hljs-subst .hljs-string { color: var(--string); }
.hljs-number, .hljs-literal, .hljs-attr, .hljs-built_in, .hljs-variable.constant_ { color: var(--number); }
.hljs-title, .hljs-section, .hljs-type { color: var(--name); }
@media (max-width: 1000px) {
  nav.contents { position: static; width: auto; max-height: 300px; border-right: 0; border-bottom: 1px solid var(--line); }
  main { margin-left: 0; padding: 16px 16px 60px; }
}
@media (max-width: 640px) {
  table.wide, table.wide caption, table.wide tbody, table.wide tr { display: block; }
  table.wide thead { display: none; }
  table.wide tr { padding: 6px 0; border-bottom: 1px solid var(--line); }
  table.wide td {
    display: grid; grid-template-columns: 7em 1fr; gap: 10px; padding: 1px 0; border: 0;
    text-align: left !important; white-space: normal !important; overflow-wrap: anywhere;
  }
  table.wide td:empty { display: none; }
  table.wide td::before { content: attr(data-column); color: var(--muted); }
}
@media print {
  :root, :root[data-theme] { color-scheme: light; font-size: 11pt; }
  nav.contents, .tools, details.code:not([open]) { display: none; }
  main { margin: 0; padding: 0; }
  section.notebook { border-top: 0; margin-top: 0; }
  section.notebook ~ section.notebook { break-before: page; }
  .figure, .cell.failed, pre, table, img { break-inside: avoid; }
  pre.text { max-height: none; }
  pre { white-space: pre-wrap; }
  /* Paper does not scroll: columns that keep their words on screen break them, so that none is cut off. */
  .rich, .prose { overflow: visible; }
  table { font-size: 8.5pt; }
  th, td { padding: 3px 6px; white-space: normal !important; min-width: 0 !important; }
  tr { break-inside: avoid; }
  h1, h2, h3 { break-after: avoid; }
  .figure:not(.without-still) { min-height: 0 !important; }
  .figure:not(.without-still) .plot { display: none; }
  .scripted .figure:not(.without-still) > img { display: inline; }
}
`;
