/** Evidence from what tokens hold and where they go: geometry, attention, probes, routing. */
import {
  argmax,
  bootstrapPlace,
  type Estimate,
  meanInterval,
  ratioInterval,
  steepestRise,
  trend,
} from "../../analysis/index.js";
import type { ClaimRules, Found } from "../index.js";
import { evidenceFrom, evidenceOf } from "../index.js";
import { blocksBetween, nearestBlock, READOUT } from "./depths.js";
import { bootstrapImages, meanOfRows, meanOver } from "./drawing.js";
import type { Flow, Geometry, Probes, Routing, Rows, Silencing } from "./parts.js";

export const geometryClaims: ClaimRules<Geometry> = {
  iccJump: ({ icc }, test) => {
    const blocks = icc.curve.length;
    const over = Math.max(1, nearestBlock(4, blocks));
    const rise = (curve: readonly number[]): number => {
      const l = steepestRise(curve, over);
      return curve[l] - curve[l - over];
    };
    // A block l ends at the depth (l + 1) / L; the rise lies about the middle of its stretch.
    const place = (curve: readonly number[]): number => (steepestRise(curve, over) + 1 - over / 2) / blocks;
    return {
      place: evidenceFrom(test("place"), { measured: percentiles(icc.curve, icc.draws, place) }),
      size: evidenceFrom(test("size"), {
        measured: percentiles(icc.curve, icc.draws, rise),
        nulls: icc.shuffled.map(rise),
      }),
    };
  },
  ckaUnusable: ({ cka }, test): Found =>
    cka.exceeds.length < 2
      ? { untestable: "fewer than ten samples" }
      : { power: evidenceOf(test("power"), { measured: cka.exceeds }) },
  textRankGeneral: ({ textRank }, test) => {
    const rises = (rows: Rows): number[] =>
      rows.map((row) => row[row.length - 1] - row[nearestBlock(40, row.length) - 1]);
    const [textOnly, withImage] = [rises(textRank.textOnly), rises(textRank.withImage)];
    const whole = meanInterval(withImage);
    return {
      rises: evidenceOf(test("rises"), { measured: textOnly }),
      alike:
        whole.low <= 0 && whole.high >= 0
          ? { untestable: "with images there is no rise to compare with" }
          : evidenceFrom(test("alike"), { measured: ratioInterval(textOnly, withImage) }),
    };
  },
  noCollapse: ({ visualRank }, test) => ({
    rises: evidenceOf(test("rises"), { measured: visualRank.map((row) => trend(row)) }),
    grows: evidenceOf(test("grows"), {
      measured: visualRank.map((row) => (row[row.length - 1] - row[0]) / row[0]),
    }),
  }),
};

/** A curve's statistic with the 95% percentiles of that of its bootstrap draws. */
function percentiles(
  curve: readonly number[],
  draws: Rows,
  statistic: (curve: readonly number[]) => number,
): Estimate {
  const values = draws.map(statistic).sort((a, b) => a - b);
  const at = (share: number): number => values[Math.round(share * (values.length - 1))];
  const estimate = statistic(curve);
  return {
    estimate,
    low: Math.min(estimate, at(0.025)),
    high: Math.max(estimate, at(0.975)),
    n: draws.length,
    level: 0.95,
  };
}

export const flowClaims: ClaimRules<Flow> = {
  flowPeak: ({ toImage, even, clusters }, test) => {
    const beyond = toImage.map((row, i) => row.map((share) => share - even[i]));
    const positions = beyond[0].map((_, l) => (l + 1) / beyond[0].length);
    return {
      place: evidenceFrom(test("place"), {
        measured: bootstrapPlace(beyond, argmax, { positions, clusters }),
      }),
      size: evidenceFrom(test("size"), {
        measured: bootstrapImages(clusters, (drawn) => Math.max(...meanOfRows(beyond, drawn))),
      }),
    };
  },
};

export const probeClaims: ClaimRules<Probes> = {
  probeLate: ({ right, control, clusters }, test) => {
    const positions = right[0].map((_, l) => l / (right[0].length - 1));
    return {
      place: evidenceFrom(test("place"), {
        measured: bootstrapPlace(right, (mean) => steepestRise(mean), { positions, clusters }),
      }),
      learns: evidenceOf(test("learns"), {
        measured: right.map((row) => row[row.length - 1]),
        control,
        clusters,
      }),
    };
  },
};

export const routingClaims: ClaimRules<Routing> = {
  expertOverlapRises: ({ jaccard, jaccardFloor }, test) => {
    const blocks = jaccard[0].length;
    const window = blocksBetween(READOUT.from, READOUT.to, blocks);
    const before = blocksBetween(0, READOUT.from, blocks);
    const rise = (row: readonly number[]): number =>
      meanOver(window.map((l) => row[l])) - meanOver(before.map((l) => row[l]));
    return {
      rises: evidenceFrom(test("rises"), {
        measured: meanInterval(jaccard.map(rise)),
        nulls: jaccardFloor.map(rise),
      }),
    };
  },
};

export const silencingClaims: ClaimRules<Silencing> = {
  routingDriven: ({ full, chosen, random, clusters }, test) => ({
    lost: evidenceOf(test("lost"), { chosen, random, ceiling: full, clusters }),
  }),
};
