/** Page of a graph, with its script. */
import { escapeHtml, jsonForScript } from "../../escape.js";
import { type OverlaySource, palette, viewDocument } from "../../plot/index.js";
import type { FeatureCorpus } from "../dashboard/corpus.js";
import type { FeatureDashboard } from "../dashboard/dashboard.js";
import { client, panelClient } from "./client.js";
import { dashboardsData } from "./examples-data.js";
import { graphFacts, supernodesOf } from "./facts.js";
import { featureOf, type GraphJson } from "./graph-json.js";
import type { GraphLayout } from "./layout.js";
import { nodePatches, patchesData } from "./patches-data.js";

export interface GraphViewOptions {
  readonly title: string;
  readonly subtitle?: string;
  /** Dashboards of features, shown with the nodes of theirs, and the corpus that their examples are of. */
  readonly dashboards?: readonly FeatureDashboard[];
  readonly corpus?: FeatureCorpus;
  /** The prompt's images, over which edges from their patches are drawn (default: on blank ones). */
  readonly images?: readonly OverlaySource[];
  /** In pixels; 680 when left out. */
  readonly height?: number;
}

export function graphPage(graph: GraphJson, layout: GraphLayout, options: GraphViewOptions): string {
  const { title, subtitle = "", dashboards = [], corpus, images = [] } = options;
  const numberOf = new Map(graph.nodes.map(({ node_id }, i) => [node_id, i]));
  const placeOf = new Map(layout.nodes.map((placed) => [placed.node.node_id, placed]));
  const groups = supernodesOf(graph);
  const groupOf = new Map(groups.flatMap(({ ids }, group) => ids.map((id) => [id, group] as const)));
  const nodes = graph.nodes.map((node) => {
    const { kind, x, y } = placeOf.get(node.node_id)!;
    const own = featureOf(node);
    return {
      ...{ kind, x, y, id: node.node_id, layer: node.layer, position: node.ctx_idx, type: node.feature_type },
      token: graph.metadata.prompt_tokens[node.ctx_idx] ?? "",
      label: node.clerp ?? "",
      activation: node.activation ?? null,
      influence: node.influence ?? null,
      verification: node.verification ?? "",
      group: groupOf.get(node.node_id) ?? -1,
      dashboard: own ? `${own.layer}_${own.feature}` : "",
      patches: nodePatches(graph, node.node_id),
    };
  });
  const links = graph.links.map(({ source, target, weight }) => [
    numberOf.get(source)!,
    numberOf.get(target)!,
    Number(weight.toPrecision(5)),
  ]);
  const names = groups.map(({ label }) => label);
  const patches = patchesData(graph, images) ?? null;
  const data = {
    nodes,
    links,
    patches,
    groups: names,
    colours: palette,
    ...dashboardsData(dashboards, corpus),
  };
  return viewDocument({
    title,
    subtitle: [subtitle, ...graphFacts(graph)].filter((line) => line !== "").join(" · "),
    css: css + printCss(layout),
    body: `<div class="controls"><label>influence followed <input type="range" id="share" min="0.05" max="1" step="0.01" value="1">
<b id="kept"></b></label><label>find <input type="search" id="find" placeholder="token, label or id"></label></div>
<main><div class="graph" id="graph">${graphSvg(layout)}</div><aside id="panel" aria-live="polite"></aside></main>`,
    script: `const data = ${jsonForScript(data)};\n${panelClient}\n${client}`,
  });
}

/** The layers' names stay where they are when the graph is scrolled to the side. */
function graphSvg({ width, height, columns, lines }: GraphLayout): string {
  const bottom = height - 58;
  const names = lines
    .map(
      ({ label, y }) =>
        `<text class="axis" x="34" y="${y + 4}" text-anchor="end">${escapeHtml(label)}</text>`,
    )
    .join("");
  return (
    `<svg class="layers" width="${NAMES}" height="${height}" viewBox="0 0 ${NAMES} ${height}" aria-hidden="true">${names}</svg>` +
    `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="group" aria-label="graph">` +
    columns
      .map(
        ({ label, x }) =>
          `<text class="axis" transform="translate(${x + 4} ${bottom}) rotate(-60)" text-anchor="end">${escapeHtml(label)}</text>`,
      )
      .join("") +
    '<g id="edges"></g><g id="nodes"></g></svg>'
  );
}

/** Width of the layers' names. */
const NAMES = 40;

/** On paper nothing scrolls: the graph and its layers' names shrink alike to the page's width, and the panel stands below. */
const printCss = ({ width }: GraphLayout): string => `
@media print {
  main { flex-direction: column; }
  .graph { flex: none; overflow: hidden; }
  .graph svg { flex: ${width} 1 0; min-width: 0; max-width: ${width}px; height: auto; }
  .graph .layers { flex-grow: ${NAMES}; max-width: ${NAMES}px; position: static; margin: 0; }
  aside { flex: 1; overflow: hidden; columns: 2; }
  .patches { max-height: 160px; break-inside: avoid; }
}
`;

/** Styles of a graph's page and of a page of dashboards. */
export const css = `
:root { --line: light-dark(#d1d9e0, #3d444d); --up: light-dark(#0072b2, #56b4e9); --down: light-dark(#d55e00, #e69f00); }
h2 { font-size: 14px; margin: 0 0 2px; overflow-wrap: anywhere; }
h3 { font-size: 12px; font-weight: 600; margin: 10px 0 3px; color: var(--quiet); }
p { margin: 0 0 4px; overflow-wrap: anywhere; }
.axis, .quiet { color: var(--quiet); fill: var(--quiet); }
.axis { font-size: 11px; }
.graph { flex: 1; min-width: 0; overflow: auto; display: flex; align-items: flex-start; border: 1px solid var(--line); border-radius: 6px; }
.graph svg { flex: none; }
.graph .layers { position: sticky; left: 0; margin-right: -40px; background: light-dark(#ffffff, #15191f); pointer-events: none; }
aside { flex: 0 0 330px; overflow: auto; }
@media (max-width: 640px) {
  body { height: auto; }
  main { flex-direction: column; }
  .graph, aside { flex: none; }
}
.node { cursor: pointer; fill: light-dark(#ffffff, #15191f); stroke: light-dark(#1f2328, #e2e7ed); stroke-width: 1.2; }
.node.logit { fill: light-dark(#1f2328, #e2e7ed); }
.node.token { fill: light-dark(#d1d9e0, #59636e); }
.node.error, .node.other { stroke-dasharray: 2 2; }
.node.away { opacity: 0.15; }
.node.near { stroke-width: 2.4; }
.node.current { stroke: var(--down); stroke-width: 3; }
.node:focus-visible { outline: 2px solid var(--up); }
.edge { fill: none; pointer-events: none; }
.edge.positive { stroke: var(--up); } .edge.negative { stroke: var(--down); stroke-dasharray: 4 2; }
ol { list-style: none; margin: 0; padding: 0; }
li button { display: flex; gap: 6px; width: 100%; text-align: left; font: inherit; color: inherit; background: none; border: 0;
  padding: 1px 2px; cursor: pointer; border-radius: 4px; }
li button:hover, li button:focus-visible { background: light-dark(#eef1f4, #262c36); }
li button span { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
li button b { font-variant-numeric: tabular-nums; font-weight: 400; }
.example { border-top: 1px solid var(--line); padding: 5px 0; display: flex; gap: 8px; }
.example div { flex: 1; min-width: 0; overflow-wrap: anywhere; }
.example svg { flex: 0 0 96px; width: 96px; height: 96px; }
.example image { image-rendering: pixelated; }
.patches { width: 100%; max-height: 300px; display: block; margin: 2px 0; }
.patches image { image-rendering: pixelated; filter: grayscale(1); opacity: 0.7; }
.patches .blank { fill: none; stroke: var(--line); vector-effect: non-scaling-stroke; }
.cell { cursor: pointer; stroke: transparent; vector-effect: non-scaling-stroke; }
.cell.positive { fill: var(--up); } .cell.negative { fill: var(--down); }
.cell:hover { stroke: var(--text, currentColor); stroke-width: 2; }
mark { color: inherit; border-radius: 2px; }
.bars { display: flex; align-items: flex-end; gap: 1px; height: 36px; }
.bars i { flex: 1; background: var(--up); min-height: 1px; }
.ends { display: flex; gap: 12px; } .ends div { flex: 1; min-width: 0; }
.ends span { display: flex; justify-content: space-between; gap: 6px; }
`;
