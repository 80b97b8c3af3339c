/** Evidence for what chose the layer, and for what Z and its complement separate. */
import { mean, quantile } from "simple-statistics";
import { bootstrap, type Estimate, groupDifferenceInterval } from "../../analysis/index.js";
import { seeded } from "../../random.js";
import type { ClaimRules, Found } from "../claim-tests.js";
import type { Test } from "../claims.js";
import { evidenceFrom, evidenceOf } from "../evidence.js";
import type { ContrastRow, SeparationPart, WeightsPart } from "./parts.js";

/** Orders of the layers in which a sharpest drop is looked for. */
const ORDERS = 99;

export const weightClaims: ClaimRules<WeightsPart> = {
  rankCollapse({ ranks, secondary }, test) {
    const own = ranks[secondary];
    const others = ranks.flatMap((heads, l) => (l === secondary ? [] : heads.map((rank) => ({ rank, l }))));
    const variation = (values: readonly number[]): number => {
      const centre = mean([...values]);
      return Math.sqrt(mean(values.map((v) => (v - centre) ** 2))) / centre;
    };
    return {
      low: evidenceOf(test("low"), {
        measured: own,
        group: { values: others.map(({ rank }) => rank), clusters: others.map(({ l }) => l) },
      }),
      alike: evidenceFrom(test("alike"), {
        measured: around(
          variation(own),
          bootstrap(own.length, (at) => variation(Array.from(at, (i) => own[i]))),
        ),
      }),
    };
  },

  ffnAvoids: ({ energy }, test) => ({
    energy: evidenceOf(test("energy"), { measured: energy.values, nulls: energy.nulls }),
  }),

  neighbours({ similarity, primary }, test): Found {
    const others = similarity.flatMap((own, pair) => (pair === primary ? [] : [[...own]]));
    if (!similarity[primary] || others.length === 0) return { untestable: "the last layer has no next one" };
    const next = others.reduce((most, own) => (mean(own) > mean(most) ? own : most));
    return {
      similarity: evidenceOf(test("similarity"), { measured: similarity[primary], group: { values: next } }),
    };
  },

  sharpestDrop({ similarity, overlaps, primary }, test): Found {
    const [own, next] = [similarity[primary], similarity[primary + 1]];
    if (!own || !next) return { untestable: "no pair of neighbours follows the chosen one" };
    const fall = groupDifferenceInterval({ values: own }, { values: next });
    const random = seeded(primary);
    const layers = Array.from({ length: overlaps.shape[0] }, (_, l) => l);
    const nulls = Array.from({ length: ORDERS }, () => {
      const order = random.shuffle(layers);
      const pairs = order.slice(1).map((b, i) => overlaps.data[order[i] * layers.length + b]);
      return Math.max(...pairs.slice(1).map((value, i) => pairs[i] - value));
    });
    return { drop: evidenceFrom(test("drop"), { measured: fall, nulls }) };
  },
};

export const separationClaims: ClaimRules<SeparationPart> = {
  meanSeparates: ({ rows }, test) => contrastOf(test("contrast"), rowOf(rows, "mean")),

  lastReverses(part, test): Found {
    const own = part.rows.find(({ pooling }) => pooling === "last");
    return own ? contrastOf(test("contrast"), own) : { untestable: "all last tokens have the same state" };
  },

  languageEnergy: ({ language: { main } }, test) => ({
    energy: evidenceOf(test("energy"), { measured: main.values, nulls: main.nulls }),
  }),

  vanishes: ({ language: { main, vanishing } }, test) => ({
    there: evidenceOf(test("there"), { measured: main.values, nulls: main.nulls }),
    gone: evidenceOf(test("gone"), { measured: vanishing.values, nulls: vanishing.nulls }),
  }),

  bestConfiguration({ rows }, test): Found {
    const all = rows.filter(({ pooling }) => pooling === "mean");
    const [best, ...others] = all;
    if (others.length === 0) return { untestable: "there is no other configuration" };
    const less = (of: (row: ContrastRow) => number): number => of(best) - mean(others.map(of));
    const drawn = best.drawn.map((_, i) => less((row) => row.drawn[i]));
    const difference = percentiles(less(observed), { ...best, drawn });
    const measured = percentiles(observed(best), best);
    return { better: evidenceFrom(test("better"), { measured, difference }) };
  },
};

/** The contrast of one layer and size beside random subspaces'. */
function contrastOf(test: Test, row: ContrastRow): Found {
  const measured = percentiles(observed(row), row);
  return { contrast: evidenceFrom(test, { measured, nulls: row.nulls }) };
}

function rowOf(rows: readonly ContrastRow[], pooling: ContrastRow["pooling"]): ContrastRow {
  const own = rows.find((row) => row.pooling === pooling);
  if (!own) throw new Error(`There is no row of ${pooling} pooling.`);
  return own;
}

const observed = ({ ratioZ, ratioRest }: ContrastRow): number => ratioZ - ratioRest;

/** The interval that resamples give, widened to hold the estimate. */
function percentiles(estimate: number, { drawn, n }: Pick<ContrastRow, "drawn" | "n">): Estimate {
  const [low, high] = [0.025, 0.975].map((p) => quantile([...drawn], p));
  return around(estimate, { estimate, low, high, n, level: 0.95 });
}

/** A resampled spread is biased: its interval may leave the estimate out. */
function around(estimate: number, interval: Estimate): Estimate {
  return {
    ...interval,
    estimate,
    low: Math.min(interval.low, estimate),
    high: Math.max(interval.high, estimate),
  };
}
