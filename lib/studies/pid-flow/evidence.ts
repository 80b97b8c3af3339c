/** From decompositions to evidence for the document's claims. */
import {
  argmax,
  type Estimate,
  type JointNormality,
  pidInterval,
  rateInterval,
  sameSpectrumDraws,
  trend,
} from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import {
  type ClaimEvidence,
  type Evidence,
  evidenceFrom,
  evidenceOf,
  type Study,
  type Test,
  type TestOf,
  testsOf,
  type Untestable,
} from "../index.js";
import {
  acceptedAt,
  curveCorrelation,
  type Grid,
  halfway,
  type Joined,
  joined,
  shareCurves,
  shareOf,
  total,
} from "./curves.js";
import type { Decomposition, KnockoutDecomposition } from "./decompose.js";
import { fingerprintTests } from "./fingerprints.js";
import { variantCorrelations } from "./variants.js";

/** Sets of a knockout's bootstrap. */
const [CLEAN, CUT, CONTROL] = [0, 1, 2];

/** Draws of nulls that are made of decompositions. */
const NULLS = 20;

type Rule = (found: Decomposition, test: TestOf) => Readonly<Record<string, Evidence | Untestable>>;

/** Evidence for every claim; where its part was not or could not be measured, the reason. */
export function pidEvidence(study: Study, found: Decomposition): Record<string, ClaimEvidence> {
  return Object.fromEntries(
    study.claims.map((claim): [string, ClaimEvidence] => {
      const { id } = claim;
      const [needs, rule] = [own(NEEDS, id), own(RULES, id)];
      if (!needs || !rule) throw new ModalscopeError(`Nothing is measured for the claim "${id}".`);
      const missing = needs(found);
      if (missing) return [id, { untestable: missing }];
      return [id, rule(found, testsOf(claim))];
    }),
  );
}

const refusals = ({ refused }: Decomposition): string =>
  refused.length === 0 ? "" : `: ${refused[0].task}: ${refused[0].why}`;

const states = (found: Decomposition): string | undefined =>
  found.tasks.length > 0 ? undefined : `no task could be decomposed${refusals(found)}`;

const several = (found: Decomposition): string | undefined =>
  found.tasks.length > 2 ? undefined : `${found.tasks.length} tasks could be decomposed${refusals(found)}`;

const variants = (found: Decomposition): string | undefined => {
  if (found.variant.length === 0) return "no second variant of the model was run";
  const counts = [found.tasks, found.variant, ...found.twins, ...found.variantTwins].flatMap((all) =>
    all.length > 0 ? [all[0].samples.length] : [],
  );
  return new Set(counts).size < 2
    ? states(found)
    : `the variants and their twins have ${counts.join(", ")} states`;
};

const knocked = (found: Decomposition): string | undefined =>
  found.knockouts.length > 0 ? undefined : `no knockout was run or could be decomposed${refusals(found)}`;

const ordered = (found: Decomposition): string | undefined =>
  found.knockouts.length > 2 ? undefined : (knocked(found) ?? "an order takes three tasks");

/** Why a claim cannot be asked of what was measured. */
const NEEDS: Readonly<Record<string, (found: Decomposition) => string | undefined>> = {
  languageAtEnd: states,
  visionEarly: states,
  lowSynergy: states,
  stableAcrossVariants: variants,
  taskFingerprints: several,
  knockoutTraps: knocked,
  knockoutSynergy: knocked,
  knockoutCost: knocked,
  knockoutOrder: ordered,
};

const RULES: Readonly<Record<string, Rule>> = {
  languageAtEnd(found, test) {
    const last = found.depths.length - 1;
    const half = halfway(found.depths);
    const all = joined(found.tasks);
    const at = (grid: Grid, state: number): number => shareOf(grid, state, "uniqueY");
    const share = interval(all, (grid) => at(grid, last));
    const draws = found.tasks.map(({ samples }) => sameSpectrumDraws(samples[last], { draws: NULLS }));
    const nulls = draws[0].map((_, k) =>
      shareOf(
        draws.map((own) => [own[k]]),
        0,
        "uniqueY",
      ),
    );
    return {
      share: evidenceFrom(test("share"), { measured: share }),
      surges: evidenceFrom(test("surges"), {
        measured: interval(all, (grid) => at(grid, last) - at(grid, half)),
      }),
      beyond: evidenceFrom(test("beyond"), { measured: share, nulls }),
      gaussian: gaussian(test("gaussian"), acceptedAt(found.tasks, [half, last])),
    };
  },

  visionEarly(found, test) {
    const all = joined(found.tasks);
    const peak = (grid: Grid): number => argmax(grid[0].map((_, set) => total(grid, set, "uniqueX")));
    const place = interval(all, (grid) => found.depths[peak(grid)], "percentile");
    const from = peak(all.grid(all.boot.observed));
    // Behind a peak at the last state nothing decays.
    const decay = (row: Grid[number]): number =>
      from === row.length - 1 ? 0 : trend(row.slice(from).map(({ broja }) => broja.uniqueX));
    const taus = all.boot.drawn.flatMap((pids) => all.grid(pids).map(decay));
    const clusters = all.boot.drawn.flatMap(() => found.tasks.map(({ task }) => task));
    return {
      place: evidenceFrom(test("place"), { measured: place }),
      decays:
        found.tasks.length < 2
          ? {
              untestable: `only one task could be decomposed (${found.tasks[0].task}), and intervals are over tasks`,
            }
          : evidenceOf(test("decays"), { measured: taus, clusters }),
      gaussian: gaussian(test("gaussian"), everywhere(found)),
    };
  },

  lowSynergy(found, test) {
    const largest = (grid: Grid): number =>
      Math.max(...grid[0].map((_, set) => shareOf(grid, set, "synergy")));
    return {
      share: evidenceFrom(test("share"), { measured: interval(joined(found.tasks), largest) }),
      gaussian: gaussian(test("gaussian"), everywhere(found)),
    };
  },

  stableAcrossVariants(found, test) {
    const both = joined([...found.tasks, ...found.variant]);
    const count = found.tasks.length;
    const curves = (grid: Grid): [number[][], number[][]] => [
      shareCurves(grid.slice(0, count)),
      shareCurves(grid.slice(count)),
    ];
    const level = interval(both, (grid) => curveCorrelation(...curves(grid)), "percentile");
    const { permuted, seeds } = variantCorrelations(found);
    return {
      level: evidenceFrom(test("level"), { measured: level }),
      beyond: evidenceFrom(test("beyond"), { measured: level, nulls: [...permuted, ...seeds] }),
      gaussian: gaussian(test("gaussian"), everywhere(found)),
    };
  },

  taskFingerprints(found, test) {
    const { between, redundancy } = fingerprintTests(found.tasks);
    const last = found.depths.length - 1;
    return {
      between: evidenceFrom(test("between"), between),
      redundancy: evidenceFrom(test("redundancy"), redundancy),
      gaussian: gaussian(test("gaussian"), acceptedAt(found.tasks, [last])),
    };
  },

  knockoutTraps({ knockouts }, test) {
    const rows = knockouts.flatMap(({ right, clusters }) =>
      right.clean.flatMap((fine, i) =>
        fine ? [{ cut: !right.cut[i], control: !right.control[i], cluster: clusters[i] }] : [],
      ),
    );
    const answered = new Set(rows.map(({ cluster }) => cluster)).size;
    return {
      matters:
        answered < 2
          ? { untestable: `${answered} images were answered about rightly, so no answers can be lost` }
          : evidenceOf(test("matters"), {
              measured: rows.map(({ cut }) => cut),
              control: rows.map(({ control }) => control),
              clusters: rows.map(({ cluster }) => cluster),
            }),
      trapped: changed(test("trapped"), knockouts, "uniqueX"),
      gaussian: gaussian(test("gaussian"), knockouts.flatMap(accepted)),
    };
  },

  knockoutSynergy: ({ knockouts }, test) => ({
    rises: changed(test("rises"), knockouts, "synergy"),
    gaussian: gaussian(test("gaussian"), knockouts.flatMap(accepted)),
  }),

  knockoutCost: ({ knockouts }, test) => ({
    rises: changed(test("rises"), knockouts, "joint"),
    gaussian: gaussian(test("gaussian"), knockouts.flatMap(accepted)),
  }),

  knockoutOrder({ knockouts }, test) {
    const order = (grid: Grid): number => {
      const redundant = grid.map((row) => shareOf([row], CLEAN, "redundancy"));
      const trapped = grid.map((row) => row[CUT].broja.uniqueX - row[CONTROL].broja.uniqueX);
      return rankCorrelation(redundant, trapped);
    };
    return {
      order: evidenceFrom(test("order"), { measured: interval(joined(knockouts), order, "percentile") }),
      gaussian: gaussian(test("gaussian"), knockouts.flatMap(accepted)),
    };
  },
};

function interval(
  { boot, grid }: Joined,
  statistic: (grid: Grid) => number,
  kind: "basic" | "percentile" = "basic",
): Estimate {
  return pidInterval(boot, (pids) => statistic(grid(pids)), { kind });
}

/** Change under the knockout, in bits and as a mean over tasks: less the clean run, and less the control. */
function changed(
  test: Test,
  knockouts: readonly KnockoutDecomposition[],
  figure: "uniqueX" | "synergy" | "joint",
): Evidence {
  const all = joined(knockouts);
  const read = (row: Grid[number], set: number): number =>
    figure === "joint" ? row[set].information.joint : row[set].broja[figure];
  const less = (grid: Grid, set: number): number =>
    grid.reduce((sum, row) => sum + read(row, CUT) - read(row, set), 0) / grid.length;
  return evidenceFrom(test, {
    measured: interval(all, (grid) => less(grid, CLEAN)),
    difference: interval(all, (grid) => less(grid, CONTROL)),
  });
}

const accepted = ({ normality }: { readonly normality: readonly JointNormality[] }): boolean[] =>
  normality.map((own) => own.accepted);

const everywhere = ({ tasks, depths }: Decomposition): boolean[] =>
  acceptedAt(
    tasks,
    depths.map((_, state) => state),
  );

/** Share of layers and tasks that the joint test did not refuse. */
function gaussian(test: Test, flags: readonly boolean[]): Evidence {
  return evidenceFrom(test, { measured: rateInterval(flags) });
}

/** Kendall's τ of `b` with the order of `a`. */
function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const order = a.map((_, i) => i).sort((i, j) => a[i] - a[j]);
  return trend(order.map((i) => b[i]));
}
