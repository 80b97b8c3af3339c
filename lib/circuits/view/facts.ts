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
  facts.push(...scoreFacts(scores));
  const [edges, coverage, beyond] = ["edges", "coverage", "beyond"].map((name) => numberIn(verified, name));
  if (edges !== undefined && coverage !== undefined && beyond !== undefined) {
    const outcome = beyond === 0 ? "all agree" : `${beyond} do not agree`;
    facts.push(
      `${edges.toLocaleString("en")} edges held against interventions: ${outcome}; their sources have ${percent(coverage)} of influence`,
    );
  } else facts.push("no edge verified");
  return facts;
}

const SCORES: readonly (readonly [field: string, name: string])[] = [
  ["replacement_score", "replacement"],
  ["completeness_score", "completeness"],
  ["kl_bits", "KL of the replacement model in bits"],
];
const NULLS: readonly (readonly [field: string, name: string])[] = [
  ["random_rows", "random rows"],
  ["shuffled_decoders", "shuffled decoders"],
];

/** Each score with those of the nulls, where the file has them. */
function scoreFacts(scores: Readonly<Record<string, unknown>>): string[] {
  const nulls = fieldsOf(scores.nulls);
  const facts = SCORES.flatMap(([field, name]) => {
    const own = numberIn(scores, field);
    if (own === undefined) return [];
    const beside = NULLS.flatMap(([kind, called]) => {
      const found = Array.isArray(nulls[kind])
        ? nulls[kind].map((one) => numberIn(fieldsOf(one), field))
        : [];
      const numbers = found.filter((value) => value !== undefined);
      return numbers.length > 0 ? [`${called} ${range(numbers)}`] : [];
    });
    const none = field === "kl_bits" ? numberIn(scores, "kl_bits_without_features") : undefined;
    if (none !== undefined) beside.push(`no features ${shown(none)}`);
    return [`${name} ${shown(own)}${beside.length > 0 ? ` (${beside.join(", ")})` : ""}`];
  });
  const compared = NULLS.some(([kind]) => Object.hasOwn(nulls, kind));
  return facts.length > 0 && !compared ? [...facts, "scores not held against null transcoders"] : facts;
}

const shown = (x: number): string => (Math.abs(x) < 0.1 ? x.toPrecision(2) : x.toFixed(2));

function range(numbers: readonly number[]): string {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)].map(shown);
  return low === high ? low : `${low}–${high}`;
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
