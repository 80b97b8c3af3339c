/** Evidence for what layers write, for the activations' own subspace, and for the bridge between the languages. */
import { mean } from "simple-statistics";
import {
  bootstrap,
  bridgeOrthogonality,
  bridgePermutationTest,
  type Estimate,
  fitBridge,
  meanInterval,
  ratioInterval,
  segment,
  takeRows,
} from "../../analysis/index.js";
import { LEAST_NULLS } from "../arms.js";
import type { ClaimRules, Found } from "../claim-tests.js";
import { evidenceFrom, evidenceOf } from "../evidence.js";
import type { BridgePart, LengthscalesPart, UpdatesPart } from "./parts.js";

/** Shuffles of the pairs, and resamples of the problems. */
const [SHUFFLES, RESAMPLES] = [19, 199];

export const updateClaims: ClaimRules<UpdatesPart> = {
  computesInZ(part, test) {
    const read = (ratios: UpdatesPart["z"]) =>
      crossRead(part, ratios, (fit) => {
        const at = fit.indexOf(Math.max(...fit));
        return (own) => own[at] / part.chance;
      });
    const beside = (name: string, nulls: UpdatesPart["random"]) =>
      evidenceFrom(test(name), {
        measured: read(part.z),
        nulls: nulls.map((ratios) => read(ratios).estimate),
      });
    return {
      ratio: beside("ratio", part.random),
      own:
        part.others.length < LEAST_NULLS
          ? { untestable: `${part.others.length} other layers are too few to hold Z against` }
          : beside("own", part.others),
    };
  },

  phases(part, test): Found {
    if (part.z.length < 3) return { untestable: `${part.z.length} transitions have no three phases` };
    const logs = (ratios: UpdatesPart["z"]) => ratios.map((row) => row.map(Math.log10));
    const read = (ratios: UpdatesPart["z"]) =>
      crossRead(part, logs(ratios), (fit) => {
        const [, from, to] = segment([...fit], { segments: 3 }).starts;
        return (own) => mean(own.slice(from, to)) - mean([...own.slice(0, from), ...own.slice(to)]);
      });
    return {
      middle: evidenceFrom(test("middle"), {
        measured: read(part.z),
        nulls: part.random.map((ratios) => read(ratios).estimate),
      }),
    };
  },
};

/** Something chosen on the mean curve of one half of the problems is read on the prompts of the other, both ways round. */
function crossRead(
  { problems }: UpdatesPart,
  ratios: UpdatesPart["z"],
  choose: (curve: number[]) => (own: number[]) => number,
): Estimate {
  const names = [...new Set(problems)];
  const half = problems.map((own) => names.indexOf(own) % 2);
  const readers = [0, 1].map((other) =>
    choose(ratios.map((row) => mean(row.filter((_, i) => half[i] === other)))),
  );
  const values = problems.map((_, i) => readers[1 - half[i]](ratios.map((row) => row[i])));
  return meanInterval(values, { clusters: problems });
}

export const lengthscaleClaims: ClaimRules<LengthscalesPart> = {
  ardShared: (part, test) =>
    unusable(part) ?? {
      heldOut: evidenceOf(test("heldOut"), {
        measured: part.heldOut.fitted,
        control: part.heldOut.equal,
      }),
    },

  ardAgrees: (part, test) =>
    unusable(part) ?? {
      overlap: evidenceOf(test("overlap"), { measured: part.overlap.values, nulls: part.overlap.nulls }),
    },
};

/** A fit that did not end, or ended where the kernel sees nothing, chose no dimensions. */
function unusable({ fit }: LengthscalesPart): { readonly untestable: string } | undefined {
  if (fit.trivial) return { untestable: `the fit ran to the trivial minimum: all tokens ${fit.trivial}` };
  if (fit.stopped === "limit")
    return { untestable: `the fit had reached no plateau after ${fit.steps} steps` };
  return undefined;
}

export const bridgeClaims: ClaimRules<BridgePart> = {
  bridgeThin: (part, test) =>
    tooFew(part) ?? {
      leftOut: evidenceFrom(test("leftOut"), { measured: leftOut(part) }),
      beyond: evidenceFrom(test("beyond"), {
        measured: leftOut(part),
        nulls: bridgePermutationTest(part.english, part.chinese, { ridge: 0, draws: SHUFFLES }).null,
      }),
    },

  bridgeRotation(part, test): Found {
    const few = tooFew(part);
    if (few) return few;
    const { english, chinese } = part;
    const [n, k] = english.shape;
    // W = 0 has the error 1/√k.
    const error = (rows: Int32Array): number =>
      bridgeOrthogonality(takeRows(english, rows), takeRows(chinese, rows), { ridge: 0 }) * Math.sqrt(k);
    const whole = error(Int32Array.from({ length: n }, (_, i) => i));
    const drawn = bootstrap(n, error, { draws: RESAMPLES });
    return {
      predicts: evidenceFrom(test("predicts"), { measured: leftOut(part) }),
      error: evidenceFrom(test("error"), {
        measured: {
          ...drawn,
          estimate: whole,
          low: Math.min(whole, drawn.low),
          high: Math.max(whole, drawn.high),
        },
      }),
    };
  },
};

/** Least squares with a free direction for every pair fits anything. */
function tooFew({ english }: BridgePart): { readonly untestable: string } | undefined {
  const [n, k] = english.shape;
  return n > k + 1 ? undefined : { untestable: `${n} pairs and ${k} dimensions: least squares fits noise` };
}

/** Leave-one-out R² of the least-squares bridge, with its interval over problems. */
export function leftOut({ english, chinese }: BridgePart): Estimate {
  const { looErrors } = fitBridge(english, chinese, { ridge: 0 });
  const [n, k] = chinese.shape;
  const centre = Array.from({ length: k }, (_, j) =>
    mean(Array.from({ length: n }, (_, i) => chinese.data[i * k + j])),
  );
  const spread = Array.from({ length: n }, (_, i) =>
    centre.reduce((sum, c, j) => sum + (chinese.data[i * k + j] - c) ** 2, 0),
  );
  const { estimate, low, high, ...rest } = ratioInterval(looErrors, spread);
  return { ...rest, estimate: 1 - estimate, low: 1 - high, high: 1 - low };
}
