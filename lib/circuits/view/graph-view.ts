/**
 * An interactive attribution graph: click a node for what enters it, what it writes to, and what it is about.
 */
import {
  checkOptions,
  list,
  listOf,
  number,
  type OptionChecks,
  record,
  required,
  text,
} from "../../options.js";
import { type Html, image as imageFile, view } from "../../plot/index.js";
import { checkGraph, featureOf, type GraphJson } from "./graph-json.js";
import { layoutOf } from "./layout.js";
import { type GraphViewOptions, graphPage } from "./page.js";
import { graphStill } from "./still.js";

const GRAPH_VIEW_OPTIONS: OptionChecks<GraphViewOptions> = {
  title: required(text, "a string"),
  subtitle: text,
  dashboards: listOf(record),
  corpus: record,
  images: list,
  height: number(1),
};

/**
 * A graph in circuit-tracer's JSON as a page of its own, which needs no network; a still image where
 * scripts do not run. A graph with edges from image patches shows them over the prompt's images.
 * @throws ModalscopeError when a link names no node, or the images are not the graph's
 * @example show(graphView(graph, { title: "Which planet?", images: [photo], dashboards, corpus }));
 */
export function graphView(graph: GraphJson, options: GraphViewOptions): Html {
  checkOptions("graphView", options, GRAPH_VIEW_OPTIONS);
  checkGraph(graph);
  const { title, images = [], height = 680 } = options;
  const layout = layoutOf(graph);
  const features = graph.nodes.filter((node) => featureOf(node)).length;
  const alt = `${title}: an attribution graph of ${graph.nodes.length} nodes, ${features} of them features, and ${graph.links.length} edges`;
  const fallback = imageFile(graphStill(graph, layout, { title, images }), { alt, width: 760 });
  return view(graphPage(graph, layout, options), { height, alt, fallback });
}
