/** Evidence for what the document reads off truncation: where accuracy returns, and what that depends on. */
import { bootstrapPlace, steepestRise } from "../../analysis/index.js";
import type { ClaimRules, Found } from "../index.js";
import { type Evidence, evidenceFrom, evidenceOf, type Test, type Untestable } from "../index.js";
import { nearestBlock } from "./depths.js";
import { bootstrapImages, meanOfRows } from "./drawing.js";
import type { Pruning, Samples, Truncated, Truncation, TruncationKind, Twins } from "./parts.js";

type Flags = readonly number[];

/** Half of the depth, in the document's layers. */
const HALF = 24;

export const truncationClaims: ClaimRules<Truncation> = {
  truncationFlat: (part, test) =>
    at(part, "mean", [0, HALF], ([once, half]) => ({
      same: compared(test("same"), part, half, once),
      matters: compared(test("matters"), part, part.right, once),
    })),
  truncationStep: (part, test) =>
    at(part, "mean", [36, 41], ([before, behind], mean) => ({
      place: evidenceFrom(test("place"), {
        measured: bootstrapPlace(mean.right, steepestRise, {
          positions: mean.layers.map((l) => l / part.blocks),
          clusters: part.clusters,
        }),
      }),
      size: compared(test("size"), part, behind, before),
    })),
  easyRecoveryNoise: (whole, test) => {
    const part = ofGrade(whole, "easy");
    if (part.right.length < 2) return { untestable: "no easy samples" };
    return at(part, "mean", [20, HALF, 32], ([early, half, late]) => ({
      same: compared(test("same"), part, late, early),
      matters: compared(test("matters"), part, part.right, half),
    }));
  },
  assimilationMistimed: (part, test) =>
    at(part, "mean", [26], ([behind]) => ({ later: shared(test("later"), part, behind) })),
  lateReadout: (part, test) =>
    at(part, "mean", [36, 41], ([before, behind]) => ({
      before: shared(test("before"), part, before),
      after: shared(test("after"), part, behind),
    })),
  methodsAgree: (part, test) =>
    at(part, "zero", [HALF], ([half], zero) => ({
      place: agreement(test("place"), part, zero),
      matters: compared(test("matters"), part, part.right, half),
    })),
};

/** The flags of a replacement at some of the document's layers; a reason where they were not measured. */
function at(
  { by, blocks }: Truncation,
  kind: TruncationKind,
  layers: readonly number[],
  judge: (flags: readonly Flags[], truncated: Truncated) => Found,
): Found {
  const truncated = by[kind];
  if (!truncated) return { untestable: `not truncated by ${kind}` };
  const found = layers.map((layer) => flagsAt(truncated, nearestBlock(layer, blocks)));
  const missing = found.indexOf(undefined);
  if (missing >= 0)
    return { untestable: `block ${nearestBlock(layers[missing], blocks)} is not among the layers` };
  return judge(found as Flags[], truncated);
}

function flagsAt({ layers, right }: Truncated, block: number): Flags | undefined {
  const column = layers.indexOf(block);
  return column < 0 ? undefined : right.map((row) => row[column]);
}

function compared(test: Test, { clusters }: Samples, measured: Flags, control: Flags): Evidence {
  return evidenceOf(test, { measured, control, clusters });
}

/** Beyond the blind answers, as a share of what the image is worth. */
function shared(test: Test, { right, blind, clusters }: Truncation, measured: Flags): Evidence {
  return evidenceOf(test, { measured, control: blind, ceiling: right, clusters });
}

/** The step's place by one replacement less that by the mean, on the blocks that both have. */
function agreement(test: Test, { by, blocks, clusters }: Truncation, one: Truncated): Evidence | Untestable {
  const mean = by.mean;
  if (!mean) return { untestable: "not truncated by mean" };
  const layers = one.layers.filter((l) => mean.layers.includes(l));
  if (layers.length < 3) return { untestable: "fewer than three blocks truncated both ways" };
  const rows = [one, mean].map(({ right, layers: own }) =>
    right.map((row) => layers.map((l) => row[own.indexOf(l)])),
  );
  const place = (some: readonly number[], arm: number): number =>
    layers[steepestRise(meanOfRows(rows[arm], some))] / blocks;
  const difference = bootstrapImages(clusters, (some) => place(some, 0) - place(some, 1));
  const measured = bootstrapImages(clusters, (some) => place(some, 0));
  return evidenceFrom(test, { measured, difference });
}

/** The samples of one grade. */
export function ofGrade(part: Truncation, grade: "easy" | "hard"): Truncation {
  const own = part.grades.flatMap((g, i) => (g === grade ? [i] : []));
  const pick = <T>(values: readonly T[]): T[] => own.map((i) => values[i]);
  return {
    ...part,
    grades: pick(part.grades),
    clusters: pick(part.clusters),
    right: pick(part.right),
    blind: pick(part.blind),
    by: Object.fromEntries(
      Object.entries(part.by).map(([kind, { layers, right }]) => [kind, { layers, right: pick(right) }]),
    ),
  };
}

export const twinClaims: ClaimRules<Twins> = {
  visionSpecific: (part, test): Found => {
    const [before, behind] = [36, 41].map((layer) => nearestBlock(layer, part.blocks));
    const returns = (truncated: Truncated): number[] | undefined => {
      const [lost, kept] = [flagsAt(truncated, before), flagsAt(truncated, behind)];
      return lost && kept?.map((right, i) => (right === 1 && lost[i] === 0 ? 1 : 0));
    };
    const [text, image] = [returns(part.text), returns(part.image)];
    if (!text || !image) return { untestable: `block ${before} or ${behind} is not among the layers` };
    return {
      fewer: compared(test("fewer"), part, text, image),
      answered: compared(test("answered"), part, part.right, part.blind),
    };
  },
};

export const pruningClaims: ClaimRules<Pruning> = {
  sparsify: (part, test): Found => {
    const half = (rule: string): Flags | undefined =>
      part.plans.find((plan) => plan.rule === rule && plan.keep === 0.5)?.right;
    const [random, attention] = [half("random"), half("attention")];
    if (!random || !attention) return { untestable: "no plan keeps half of the tokens" };
    return {
      random: compared(test("random"), part, random, part.right),
      attention: compared(test("attention"), part, attention, random),
      matters: compared(test("matters"), part, part.right, part.halfTruncated),
    };
  },
};
