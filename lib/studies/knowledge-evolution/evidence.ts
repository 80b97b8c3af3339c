/** From what was measured to the evidence of every claim. */
import {
  bootstrapPlace,
  dispersion,
  emergence,
  firstStableLayer,
  type Matrix,
  meanInterval,
  movementToward,
  pathShapes,
  pathSteps,
  reclustering,
  segment,
  trend,
} from "../../analysis/index.js";
import { checkOptions, integer, record, required } from "../../options.js";
import type { Tensor } from "../../tensor.js";
import type { Arms } from "../arms.js";
import { testsOf } from "../claim-tests.js";
import type { Claim, Study } from "../claims.js";
import { type Estimates, type Evidence, evidenceFrom, evidenceOf, type Untestable } from "../evidence.js";
import type { ClaimEvidence } from "../judge.js";
import type { EvolutionData } from "./data.js";
import type { TokenKind } from "./mentions.js";
import type { EvolutionRules } from "./rules.js";
import {
  at,
  captionCurves,
  columnsOf,
  fallOf,
  isHierarchical,
  mean,
  perCaption,
  range,
  rivalLeads,
  skipOf,
  stagesOfHalves,
  withoutEmbedding,
} from "./summaries.js";

/** Draws of the bootstraps and shuffles. */
const DRAWS = 199;

/** The evidence of every claim of the study from one checkpoint's measurements. */
export function evolutionEvidence(
  study: Study,
  data: EvolutionData,
  options: { readonly rules: EvolutionRules; readonly seed?: number },
): Record<string, ClaimEvidence> {
  checkOptions("evolutionEvidence", options, {
    rules: required(record, "rules, as evolutionRules gives them"),
    seed: integer(),
  });
  const { rules, seed = 0 } = options;
  const view = viewOf(data, rules, seed);
  return Object.fromEntries(
    study.claims.map((claim) => {
      const make = Object.hasOwn(makers, claim.id) ? makers[claim.id] : undefined;
      return [claim.id, make ? make(evidenceMakers(claim), view) : { untestable: "it is not measured" }];
    }),
  );
}

/** Inputs that all makers of evidence share. */
interface View {
  readonly data: EvolutionData;
  readonly rules: EvolutionRules;
  readonly seed: number;
  /** Blocks behind the critical one. */
  readonly later: readonly number[];
  /** Token numbers of some kinds. */
  tokensOf(...kinds: readonly TokenKind[]): number[];
  /** A value of each of some tokens, with their captions as clusters. */
  group(tokens: readonly number[], value: (t: number) => number): Grouped;
  /** Largest change behind the critical block, by token. */
  readonly largest: readonly number[];
}

interface Grouped {
  readonly values: number[];
  readonly clusters: number[];
}

/** Makes one test's evidence. */
interface Tests {
  of(test: string, arms: Arms): Evidence;
  from(test: string, estimates: Estimates): Evidence;
  /** One kind of token against another; why not where one has too few. */
  against(test: string, own: Grouped, other: Grouped): Evidence | Untestable;
}

function evidenceMakers(claim: Claim): Tests {
  const test = testsOf(claim);
  return {
    of: (name, arms) => evidenceOf(test(name), arms),
    from: (name, estimates) => evidenceFrom(test(name), estimates),
    against: (name, own, other) =>
      [own, other].some(({ clusters }) => new Set(clusters).size < 2)
        ? { untestable: "there are too few such tokens to compare" }
        : evidenceOf(test(name), { measured: own.values, clusters: own.clusters, group: other }),
  };
}

function viewOf(data: EvolutionData, rules: EvolutionRules, seed: number): View {
  const { tokens, blocks, critical, exit } = data;
  const later = range(critical + 1, blocks);
  return {
    data,
    rules,
    seed,
    later,
    tokensOf: (...kinds) => [...tokens.kind.keys()].filter((t) => kinds.includes(tokens.kind[t])),
    group: (own, value) => ({ values: own.map(value), clusters: own.map((t) => tokens.caption[t]) }),
    largest: tokens.kind.map((_, t) => Math.max(...later.map((b) => at(exit.change, b, t)))),
  };
}

type Maker = (tests: Tests, view: View) => ClaimEvidence;
const SAID: readonly TokenKind[] = ["true", "hallucinated"];
const CONTENT: readonly TokenKind[] = ["content", ...SAID];

const makers: Readonly<Record<string, Maker>> = {
  surge(tests, { data, group }): ClaimEvidence {
    const { exit, blocks } = data;
    const all = [...data.tokens.kind.keys()];
    const emerged = emergence(exit.probability);
    const quarter = range(1, Math.max(2, Math.floor(blocks / 4) + 1));
    const rise = (t: number): number =>
      Math.max(...range(1, blocks).map((b) => at(exit.probability, b + 1, t) - at(exit.probability, b, t)));
    const measured = (value: (t: number) => number) => armsOf(group(all, value));
    return {
      shallow: tests.of(
        "shallow",
        measured((t) => mean(quarter.map((s) => at(exit.probability, s, t)))),
      ),
      place: tests.of(
        "place",
        measured((t) => (emerged[t] + 1) / blocks),
      ),
      rises: tests.of("rises", measured(rise)),
    };
  },

  easyStable(tests, { data, tokensOf, group, largest }): ClaimEvidence {
    const settled = firstStableLayer(data.exit.rank);
    const both = (value: (t: number) => number) =>
      [group(tokensOf(...CONTENT), value), group(tokensOf("easy"), value)] as const;
    return {
      later: tests.against("later", ...both((t) => settled[t] / data.blocks)),
      moves: tests.against("moves", ...both((t) => largest[t])),
    };
  },

  candidates(tests, { data, rules, tokensOf, group }): ClaimEvidence {
    const count = (t: number): number =>
      data.exit.candidates[t].filter(({ probability }) =>
        probability.subarray(data.critical + 1).some((p) => p >= rules.candidateProbability),
      ).length;
    return {
      more: tests.against("more", group(tokensOf(...CONTENT), count), group(tokensOf("easy"), count)),
    };
  },

  hallucinatedMutate(tests, { data, tokensOf, group }): ClaimEvidence {
    const mutates = (t: number): number => Number(data.mutations.tokens[t]);
    const wrong = group(tokensOf("hallucinated"), mutates);
    if (wrong.values.length < 2) return { untestable: "nothing was hallucinated" };
    return {
      most: tests.of("most", armsOf(wrong)),
      more: tests.against("more", wrong, group(tokensOf("true"), mutates)),
    };
  },

  correctFirst(tests, { data, tokensOf, group }): ClaimEvidence {
    const compared = (kind: TokenKind): number[] => tokensOf(kind).filter((t) => data.tokens.rivals[t] > 0);
    const wrong = group(compared("hallucinated"), (t) => Number(rivalLeads(data, t)));
    if (wrong.values.length < 2) return { untestable: "nothing was hallucinated that has a rival" };
    return {
      leads: tests.of("leads", armsOf(wrong)),
      more: tests.against(
        "more",
        wrong,
        group(compared("true"), (t) => Number(rivalLeads(data, t))),
      ),
    };
  },

  divergenceFalls(tests, { data, seed }): ClaimEvidence {
    if (!data.twin) return { untestable: "random weights were not run" };
    const own = captionCurves(data, data.exit.change);
    const control = captionCurves(data, data.twin.change);
    const depth = range(1, data.blocks).map((b) => (b + 1) / data.blocks);
    const cut = (curve: Float64Array): number => segment(curve, { segments: 2 }).starts[1] - 1;
    return {
      falls: tests.of("falls", { measured: own.map(fallOf(data)), control: control.map(fallOf(data)) }),
      place: tests.from("place", {
        measured: bootstrapPlace(
          own.map((curve) => curve.slice(1)),
          cut,
          { positions: depth, draws: DRAWS, seed },
        ),
      }),
    };
  },

  entitiesMutate(tests, { data, tokensOf, group, largest }): ClaimEvidence {
    const [own, others] = [tokensOf(...SAID), tokensOf("easy", "content")];
    const mutates = (t: number): number => Number(data.mutations.tokens[t]);
    return {
      more: tests.against("more", group(own, mutates), group(others, mutates)),
      size: tests.against(
        "size",
        group(own, (t) => largest[t]),
        group(others, (t) => largest[t]),
      ),
    };
  },

  threeStages(tests, { data }): ClaimEvidence {
    const halves = stagesOfHalves(captionCurves(data, data.exit.change));
    return {
      calms: tests.of("calms", { measured: halves.map(({ means: [a, b], scale }) => (a - b) / scale) }),
      again: tests.of("again", { measured: halves.map(({ means: [, b, c], scale }) => (c - b) / scale) }),
      third: tests.of("third", { measured: halves.map(({ removed }) => removed) }),
    };
  },

  skip1(tests, { data }): ClaimEvidence {
    const found = skipOf(data, "skip.1");
    if (!found.control) return { untestable: found.because };
    return {
      alike: tests.of("alike", { measured: found.own.overlap }),
      control: tests.of("control", { measured: found.own.overlap, control: found.control.overlap }),
    };
  },

  skip2(tests, { data }): ClaimEvidence {
    const found = skipOf(data, "skip.2");
    if (!found.control) return { untestable: found.because };
    const measured = found.own.wrong;
    return {
      alike: tests.of("alike", { measured: found.own.overlap }),
      corrects: tests.of("corrects", { measured, control: data.wrong }),
      control: tests.of("control", { measured, control: found.control.wrong }),
    };
  },

  skip3(tests, { data }): ClaimEvidence {
    const found = skipOf(data, "skip.3");
    if (!found.own) return { untestable: found.because };
    return {
      alike: tests.of("alike", { measured: found.own.overlap, control: found.own.elsewhere }),
      worse: tests.of("worse", { measured: found.own.wrong, control: data.wrong }),
    };
  },

  diverge(tests, { data }): ClaimEvidence {
    const spreads = perCaption(data).map((tokens) => dispersion(columnsOf(data.states, tokens)));
    return {
      angle: tests.of("angle", { measured: spreads.map(({ angle }) => trend(angle)) }),
      distance: tests.of("distance", { measured: spreads.map(({ distance }) => trend(distance)) }),
    };
  },

  linear(tests, { data }): ClaimEvidence {
    const shapes = pathShapes(data.states);
    return {
      straighter: tests.of("straighter", {
        measured: shapes.map(({ linearity }) => linearity),
        control: shapes.map(({ walk }) => walk.linearity),
        clusters: data.tokens.caption,
      }),
    };
  },

  hierarchy(tests, { data, rules }): ClaimEvidence {
    if (!data.twin) return { untestable: "random weights were not run" };
    const flags = (states: Tensor): boolean[] =>
      pathSteps(withoutEmbedding(states)).map((steps) => isHierarchical(steps, rules.longStep));
    return {
      some: tests.of("some", {
        measured: flags(data.states),
        control: flags(data.twin.states),
        clusters: data.tokens.caption,
      }),
    };
  },

  guitar(tests, { data, rules }): ClaimEvidence {
    const size = rules.questionImages;
    const trends = data.answers.flatMap(({ states }) =>
      range(0, Math.floor(states.shape[1] / size)).map((g) =>
        trend(dispersion(columnsOf(states, range(g * size, (g + 1) * size))).angle),
      ),
    );
    if (trends.length < 2) return { untestable: "no question was asked of several images" };
    return { angle: tests.of("angle", { measured: trends }) };
  },

  recluster(tests, { data, seed }): ClaimEvidence {
    const group = data.answers.find(({ answers }) => answers.length > 2 && new Set(answers).size > 1);
    if (!group) return { untestable: "all images got one answer, or no question was asked of three" };
    const { items, rise } = reclustering(group.states, group.answers, { draws: 20, seed });
    const rises = items.slice(1).map((after, s) => Array.from(after, (value, i) => value - items[s][i]));
    const last = rises[rises.length - 1];
    const earlier = rises.slice(Math.floor(rises.length / 2), -1);
    const largest = earlier.reduce((best, own) => (mean(own) > mean(best) ? own : best));
    return {
      rises: tests.from("rises", { measured: meanInterval(last), nulls: rise.null }),
      last: tests.from("last", { measured: meanInterval(last.map((value, i) => value - largest[i])) }),
    };
  },

  priorInjected(tests, { data, later, tokensOf, group }): ClaimEvidence {
    const { exit, mutations } = data;
    const [to, from] = ["text alone", "another image"].map(
      (name) => movementToward(exit.distance[name], exit.change).directness,
    );
    const moved = (t: number, mutating: boolean): number[] =>
      later
        .filter((b) => (at(mutations.mutated, b, t) === 1) === mutating)
        .map((b) => at(to, b, t) - at(from, b, t));
    const both = tokensOf(...SAID).filter((t) => moved(t, true).length > 0 && moved(t, false).length > 0);
    const own = group(both, (t) => mean(moved(t, true)));
    if (new Set(own.clusters).size < 2) return { untestable: "no token that is said of the image mutates" };
    return {
      towards: tests.of("towards", { ...armsOf(own), control: both.map((t) => mean(moved(t, false))) }),
    };
  },

  llmFlat(tests, { data, tokensOf, group }): ClaimEvidence {
    const { language, exit, mutations } = data;
    if (!language)
      return { untestable: "no language model from before the visual training reads the same tokens" };
    const content = tokensOf(...CONTENT);
    const flags = (found: typeof mutations) => group(content, (t) => Number(found.tokens[t]));
    const falls = (change: Matrix): number[] => captionCurves(data, change).map(fallOf(data));
    return {
      fewer: tests.of("fewer", { ...armsOf(flags(language.mutations)), control: flags(mutations).values }),
      flatter: tests.of("flatter", { measured: falls(language.change), control: falls(exit.change) }),
    };
  },
};

const armsOf = ({ values, clusters }: Grouped): Arms => ({ measured: values, clusters });
