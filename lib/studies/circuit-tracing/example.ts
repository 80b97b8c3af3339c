/** One prompt in full: its graph, verified, with what its features are about. */
import {
  type AttributionGraph,
  attribute,
  type CorpusPrompt,
  type FeatureCorpus,
  type FeatureDashboard,
  featureCorpus,
  featureDashboard,
  graphJson,
  graphView,
  labelIndex,
  nodeInfluence,
  type PrunedGraph,
  proposeSupernodes,
  pruneGraph,
  sumCheck,
  type Verification,
  verifyEdges,
} from "../../circuits/index.js";
import type { Batch } from "../../model/index.js";
import { checkOptions, record, required, TASK_OPTIONS, text } from "../../options.js";
import type { Html, Rows } from "../../plot/index.js";
import type { TaskOptions } from "../../progress.js";
import {
  animals,
  asMessage,
  encodePng,
  hands,
  planets,
  type Raster,
  rasterOf,
  sums,
  type VisualTask,
} from "../../tasks/index.js";
import type { Feature } from "./activity.js";
import { drawFor, type Subject } from "./subject.js";

/** A prompt's graph. */
export interface Traced {
  readonly task: VisualTask;
  readonly batch: Batch;
  readonly graph: AttributionGraph;
  readonly pruned: PrunedGraph;
}

/** What is kept of a graph that is to be looked at. */
const SHOWN = { nodeThreshold: 0.8, edgeThreshold: 0.9 } as const;

/** The attribution graph of a task, down to the image's patches. */
export async function traceTask(
  { model, set }: Subject,
  task: VisualTask,
  options: TaskOptions = {},
): Promise<Traced> {
  checkOptions("traceTask", options, TASK_OPTIONS);
  const batch = await model.prepare([[asMessage(task)]]);
  const graph = await attribute(model, batch, set, { patches: true, ...options });
  return { task, batch, graph, pruned: pruneGraph(graph, SHOWN) };
}

/** Holds edges of a graph against interventions. */
export function verifyTraced(
  { model, set, settings, seed }: Subject,
  { batch, graph }: Traced,
): Promise<Verification> {
  return verifyEdges(model, batch, set, graph, { features: settings.verifiedFeatures, seed });
}

/** What a graph covers, and how far it was verified, as a table. */
export function coverageRows({ graph, pruned }: Traced, verification?: Verification): Rows {
  const kinds = (of?: PrunedGraph["nodes"]): string => {
    const counts = new Map<string, number>();
    graph.nodes.forEach(({ kind }, i) => {
      if (!of || of[i]) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    });
    return [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
  };
  const rows = [
    { what: "nodes", value: kinds() },
    { what: "of these shown", value: kinds(pruned.nodes) },
    {
      what: "rows that were followed",
      value: `${graph.targets.length}, ${percent(graph.followed)} of the influence`,
    },
    {
      what: "each value less the sum of its edges, at most",
      value: sumCheck(graph).absolute.toExponential(1),
    },
  ];
  return verification
    ? [...rows, ...verificationRows(verification)]
    : [...rows, { what: "edges held against interventions", value: "none" }];
}

function verificationRows({
  sources,
  edges,
  coverage,
  beyond,
  worst,
}: Verification): { what: string; value: string }[] {
  const raised = Object.entries(sources).map(([kind, n]) => `${n} ${kind}`);
  return [
    { what: "sources raised with all else held", value: raised.join(", ") },
    {
      what: "edges held against that",
      value: `${edges.toLocaleString("en")}, ${percent(coverage)} of the influence`,
    },
    {
      what: "edges beyond the tolerance",
      value: `${beyond}; worst ${worst.features.toExponential(1)} at features, ${worst.logits.toExponential(1)} at logits`,
    },
  ];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Prompts of all kinds, with words for what lies at each image token. */
export async function exampleCorpus(subject: Subject, each: number): Promise<FeatureCorpus> {
  const drawn = [
    ...drawFor(subject, planets, { types: ["name", "beside"], count: each, split: "train" }),
    ...drawFor(subject, animals, { types: ["name"], count: each, split: "train" }),
    ...drawFor(subject, sums, { types: ["plus", "minus"], count: each, split: "train" }),
    ...drawFor(subject, hands, { types: ["fingers", "apples", "what"], count: each, split: "train" }),
  ];
  const { model, set } = subject;
  const { images } = await model.prepare([[asMessage(drawn[0])]]);
  const side = Math.round(Math.sqrt(images?.[0].image.tokens.length ?? 1));
  const prompts = drawn.map((task): CorpusPrompt => {
    const raster = rasterOf(task);
    return {
      prompt: [asMessage(task)],
      image: encodePng(raster),
      words: (token) => wordsAt(raster, token, side),
    };
  });
  return featureCorpus(model, set, prompts);
}

/** What was drawn at the middle of an image token's cell. */
function wordsAt({ width, height, annotations = [] }: Raster, token: number, side: number): string[] {
  const [x, y] = [
    ((token % side) + 0.5) * (width / side),
    (Math.floor(token / side) + 0.5) * (height / side),
  ];
  return annotations.flatMap(({ left, top, right, bottom, words }) =>
    x >= left && x < right && y >= top && y < bottom ? words : [],
  );
}

/** Dashboards of features, with automatic labels and their held-out scores. */
export function dashboardsOf(corpus: FeatureCorpus, features: readonly Feature[]): FeatureDashboard[] {
  const labels = labelIndex(corpus);
  return features.map(({ layer, feature }) =>
    featureDashboard(corpus, layer, feature, { labels, examples: 4 }),
  );
}

/** The most influential features of a graph, each once. */
export function topFeatures({ graph }: Traced, count: number): Feature[] {
  const influence = nodeInfluence(graph);
  const found = new Map<string, Feature & { total: number }>();
  graph.nodes.forEach((node, i) => {
    if (node.kind !== "feature") return;
    const { layer, feature } = node;
    const own = found.get(`${layer} ${feature}`) ?? { layer, feature, total: 0 };
    found.set(`${layer} ${feature}`, { ...own, total: own.total + influence[i] });
  });
  return [...found.values()].sort((a, b) => b.total - a.total).slice(0, count);
}

/** The graph as a page: click a node for its edges, its examples and how it was verified. */
export function tracedView(
  { model }: Subject,
  traced: Traced,
  options: { readonly corpus: FeatureCorpus; readonly verification?: Verification; readonly title: string },
): Html {
  checkOptions("tracedView", options, {
    corpus: required(record, "a corpus, as featureCorpus gives it"),
    verification: record,
    title: required(text, "a string"),
  });
  const { corpus, verification, title } = options;
  const dashboards = dashboardsOf(corpus, topFeatures(traced, SHOWN_DASHBOARDS));
  const labels = new Map(dashboards.map((own) => [`${own.layer} ${own.feature}`, own.label?.label]));
  const json = graphJson(
    traced.pruned,
    {
      slug: traced.task.id,
      ...(verification && { verification }),
      supernodes: proposeSupernodes(traced.pruned),
      label: ({ layer, feature }) => labels.get(`${layer} ${feature}`),
    },
    (token) => model.decode([token], { skipSpecialTokens: false }),
  );
  return graphView(json, { title, dashboards, corpus, images: [rasterOf(traced.task)] });
}

/** Features whose examples are shown with their nodes. */
const SHOWN_DASHBOARDS = 30;
