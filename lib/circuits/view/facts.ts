/**
 * What a graph's file says of itself: how much was followed, what was verified, which nodes belong together.
 */
import type { GraphJson } from "./graph-json.js";

/** Sentences about a graph, from fields of its metadata where they are there. */
export function graphFacts({ metadata, nodes, links }: GraphJson): string[] {
  const settings = fieldsOf(metadata.generation_settings);
  const scores = fieldsOf(metadata.graph_scores);
  const verified = fieldsOf(metadata.verification);
  const facts = [`${nodes.length} nodes, ${links.length} edges`];
  const followed = numberIn(settings, "influence_followed");
  if (followed !== undefined) facts.push(`${percent(followed)} of influence followed`);
  const [replacement, completeness] = ["replacement_score", "completeness_score"].map((name) =>
    numberIn(scores, name),
  );
  if (replacement !== undefined && completeness !== undefined)
    facts.push(`replacement ${replacement.toFixed(2)}, completeness ${completeness.toFixed(2)}`);
  const [edges, coverage, beyond] = ["edges", "coverage", "beyond"].map((name) => numberIn(verified, name));
  if (edges !== undefined && coverage !== undefined && beyond !== undefined) {
    const outcome = beyond === 0 ? "all agree" : `${beyond} do not agree`;
    facts.push(
      `${edges} edges held against interventions: ${outcome}; their sources have ${percent(coverage)} of influence`,
    );
  } else facts.push("no edge verified");
  return facts;
}

/** Supernodes of `qParams`: each a label and the ids of its nodes. */
export function supernodesOf({
  qParams,
}: GraphJson): { readonly label: string; readonly ids: readonly string[] }[] {
  const given = qParams?.supernodes;
  if (!Array.isArray(given)) return [];
  return given.flatMap((one) =>
    Array.isArray(one) && one.every((part) => typeof part === "string") && one.length > 1
      ? [{ label: one[0] as string, ids: one.slice(1) as string[] }]
      : [],
  );
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function numberIn(fields: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
