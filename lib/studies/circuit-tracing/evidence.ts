/** From measurements to evidence, claim by claim. */
import { bootstrapPlace, meanInterval, trend } from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import {
  type Arms,
  type ClaimEvidence,
  type ClaimRules,
  type Evidence,
  evidenceFrom,
  evidenceOf,
  type Found,
  type Study,
  type Test,
  type TestOf,
  testsOf,
} from "../index.js";
import type { Arithmetic, Convergence, Counting, Measurements, Part, RandomArms } from "./measurements.js";

/** Part of the measurements that each claim rests on. */
const PART_OF: Readonly<Record<string, keyof Measurements>> = {
  polysemanticNeurons: "neurons",
  jointTraining: "training",
  associations: "associations",
  marsToEarth: "patch",
  otterNeighbours: "neighbours",
  visualArithmetic: "arithmetic",
  sixSuppressed: "counting",
  handToFive: "counting",
  countsOthers: "counting",
  twoActive: "counting",
  repair: "counting",
  lateConvergence: "convergence",
};

/** Parts that the claims which name a checkpoint rest on. */
export function partsFor({ claims }: Study, checkpoint: string): ReadonlySet<keyof Measurements> {
  const named = claims.filter(({ nulls, planted }) => nulls.includes(checkpoint) || planted.has(checkpoint));
  return new Set(named.map(({ id }) => own(PART_OF, id)).filter((part) => part !== undefined));
}

/** Evidence by claim. @throws ModalscopeError for a claim that the study does not measure */
export function circuitEvidence({ claims }: Study, all: Measurements): Record<string, ClaimEvidence> {
  return Object.fromEntries(
    claims.map((claim) => {
      const [part, rule] = [own(PART_OF, claim.id), own(RULES, claim.id)];
      if (!part || !rule) throw new ModalscopeError(`Nothing is measured for the claim "${claim.id}".`);
      const measured = all[part] as Part<object>;
      return [claim.id, "untestable" in measured ? measured : rule(all, testsOf(claim))];
    }),
  );
}

/** Evidence of the embedded sets, whose transcoders are trained for longer. */
export function embeddedEvidence(
  { claims }: Study,
  { embedded }: Measurements,
): Record<string, ClaimEvidence> {
  const claim = claims.find(({ id }) => id === "jointTraining");
  if (!claim || !embedded) return {};
  return { jointTraining: { lower: trainingEvidence(embedded, testsOf(claim)("lower")) } };
}

/** A part that was measured: the caller has looked. */
const measuredIn = <T>(part: Part<T>): T => part as T;

const RULES: ClaimRules<Measurements> = {
  polysemanticNeurons: (all, test) => {
    const { features, neurons } = measuredIn(all.neurons);
    const [measured, values] = [features, neurons].map((units) => units.map(({ purity }) => purity));
    return { purer: evidenceOf(test("purer"), { measured, group: { values } }) };
  },
  jointTraining: (all, test) => ({ lower: trainingEvidence(measuredIn(all.training), test("lower")) }),
  associations: (all, test) => {
    const { partner, other, fall } = measuredIn(all.associations);
    return {
      active: evidenceOf(test("active"), { measured: partner, group: { values: other } }),
      causal: evidenceOf(test("causal"), againstRandom(fall)),
    };
  },
  marsToEarth: (all, test) => {
    const { turned, stream } = measuredIn(all.patch);
    return { turns: evidenceOf(test("turns"), { ...turned, ceiling: stream }) };
  },
  otterNeighbours: (all, test) => {
    const { lookAlike, others } = measuredIn(all.neighbours);
    return { tied: evidenceOf(test("tied"), { measured: lookAlike, nulls: others }) };
  },
  visualArithmetic: (all, test) => arithmeticEvidence(measuredIn(all.arithmetic), test),
  sixSuppressed: (all, test) => {
    const { six, counted } = measuredIn(all.counting);
    return {
      alike: evidenceOf(test("alike"), { measured: six }),
      counted:
        counted.length < 2
          ? { untestable: `${counted.length} images show six other things` }
          : evidenceOf(test("counted"), { measured: counted }),
    };
  },
  handToFive: (all, test) => ({
    direct: evidenceOf(test("direct"), againstRandom(measuredIn(all.counting).fall)),
  }),
  countsOthers: (all, test) => {
    const { right, blind } = measuredIn(all.counting);
    return { counts: evidenceOf(test("counts"), { measured: right, control: blind }) };
  },
  twoActive: (all, test) => twoEvidence(measuredIn(all.counting), test),
  repair: (all, test) => {
    const { mended, five, elsewhere } = measuredIn(all.counting);
    return {
      mends: evidenceOf(test("mends"), againstRandom(mended)),
      fiveFingers: evidenceOf(test("fiveFingers"), { measured: five.cut, control: five.clean }),
      elsewhere: evidenceOf(test("elsewhere"), { measured: elsewhere.cut, control: elsewhere.clean }),
    };
  },
  lateConvergence: (all, test) => convergenceEvidence(measuredIn(all.convergence), test),
};

const againstRandom = ({ chosen, random }: RandomArms): Arms => ({ measured: chosen, nulls: random });

function trainingEvidence(
  { joint, text }: { readonly joint: readonly number[]; readonly text: readonly number[] },
  test: Test,
): Evidence {
  return evidenceOf(test, { measured: joint, control: text });
}

function twoEvidence({ two: { hands, others } }: Counting, test: TestOf): Found {
  if (others.length < 2)
    return { active: { untestable: `${others.length} images show a single other thing` } };
  return { active: evidenceOf(test("active"), { measured: hands, group: { values: others } }) };
}

/** Place of a layer in the depth: behind block l of L it is (l + 1) / L. */
const depthOf = (layer: number, layers: number): number => (layer + 1) / layers;

/** Depth of the first layer at which a curve reaches a level; 1 and one layer more where none does. */
function depthFrom(curve: ArrayLike<number>, level: number): number {
  const at = Array.from(curve).findIndex((value) => value >= level);
  return depthOf(at < 0 ? curve.length : at, curve.length);
}

function arithmeticEvidence({ image, last, shuffled, clusters }: Arithmetic, test: TestOf): Found {
  const layers = image[0].length;
  const curves = {
    data: Float64Array.from(image.flatMap((row, i) => [...row, ...last[i]])),
    shape: [image.length, 2 * layers] as const,
  };
  const difference = (mean: Float64Array): number => {
    const [own, other] = [mean.subarray(0, layers), mean.subarray(layers)];
    const level = other[layers - 1] / 2;
    return depthFrom(own, level) - depthFrom(other, level);
  };
  const half = Math.floor(layers / 2);
  return {
    earlier: evidenceFrom(test("earlier"), { measured: bootstrapPlace(curves, difference, { clusters }) }),
    readable: evidenceOf(test("readable"), {
      measured: image.map((row) => row[half]),
      control: shuffled,
      clusters,
    }),
  };
}

function convergenceEvidence({ joint, paired }: Convergence, test: TestOf): Found {
  const layers = joint[0].length;
  const curves = { data: Float64Array.from(joint.flat()), shape: [joint.length, layers] as const };
  const lastThird = (row: readonly number[]): number => {
    const own = row.slice(Math.ceil((2 * layers) / 3));
    return own.reduce((sum, value) => sum + value, 0) / own.length;
  };
  // Where joint features never carry more than half, they take over at the end.
  const place = (mean: Float64Array): number => Math.min(1, depthFrom(mean, HALF));
  return {
    place: evidenceFrom(test("place"), { measured: bootstrapPlace(curves, place) }),
    grows: evidenceOf(test("grows"), { measured: joint.map((row) => trend(row)) }),
    beyond: evidenceFrom(test("beyond"), {
      measured: meanInterval(joint.map(lastThird)),
      nulls: paired.map(lastThird),
    }),
  };
}

/** More than half is what taking over means. */
const HALF = 0.5;
