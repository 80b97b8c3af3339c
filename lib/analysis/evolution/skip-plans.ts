import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, listOf, numeric, type OptionChecks, required } from "../../options.js";
import { seeded } from "../../random.js";

/** Blocks that a generation leaves out: what `generate({ skip })` takes. */
export interface SkipPlan {
  readonly name: string;
  /** Blocks that are skipped, ascending. */
  readonly skip: readonly number[];
  /** Skipped blocks as a share of all: the compute of the language model that is saved (blocks cost alike). */
  readonly saved: number;
  /** In words. */
  readonly says: string;
}

/** Options of {@link skipPlans}. */
export interface SkipOptions {
  /** Number of blocks. */
  readonly blocks: number;
  /** Last block of the rapid stage; it runs in every plan. */
  readonly critical: number;
  /** Mutation layers, ascending. */
  readonly mutations: readonly number[];
  /** Blocks at the end that skip.3 runs. Default 2. */
  readonly last?: number;
}

const SKIP_OPTIONS: OptionChecks<SkipOptions> = {
  blocks: numeric,
  critical: numeric,
  mutations: listOf(integer(0)),
  last: numeric,
};

/**
 * The document's three plans. skip.1: from the critical block straight to the first mutation layer. skip.2: the
 * mutation layers only. skip.3: from the critical block straight to the last few. Without mutation layers the first two
 * skip nothing.
 */
export function skipPlans(options: SkipOptions): SkipPlan[] {
  checkOptions("skipPlans", options, SKIP_OPTIONS);
  const { blocks, critical, mutations, last = 2 } = options;
  if (!(critical >= 0 && critical < blocks && last >= 0)) {
    throw new ModalscopeError(
      `The critical block ${critical} is not one of ${blocks}, or ${last} is negative.`,
    );
  }
  const wrong = mutations.find((b) => !(b > critical && b < blocks));
  if (wrong !== undefined) {
    throw new ModalscopeError(
      `Block ${wrong} cannot be a mutation layer.`,
      `They lie after ${critical}, before ${blocks}.`,
    );
  }
  const first = mutations.reduce((least, b) => Math.min(least, b), Number.POSITIVE_INFINITY);
  const none = "no mutation layer was found: nothing is skipped";
  return [
    first < blocks
      ? plan(
          "skip.1",
          between(critical, first),
          blocks,
          `from block ${critical} to the mutation layer ${first}`,
        )
      : plan("skip.1", [], blocks, none),
    first < blocks
      ? plan(
          "skip.2",
          [...mutations].sort((a, b) => a - b),
          blocks,
          `without the mutation layers ${mutations.join(", ")}`,
        )
      : plan("skip.2", [], blocks, none),
    plan("skip.3", between(critical, blocks - last), blocks, `from block ${critical} to the last ${last}`),
  ];
}

/**
 * A plan that skips as many blocks as `like`, drawn from `candidates` that it runs: shows what skipping alone does.
 * @throws ModalscopeError when there are too few.
 */
export function controlPlan(
  like: SkipPlan,
  options: { readonly candidates: readonly number[]; readonly blocks: number; readonly seed?: number },
): SkipPlan {
  checkOptions("controlPlan", options, {
    candidates: required(listOf(integer(0)), "a list of blocks"),
    blocks: numeric,
    seed: integer(),
  });
  const { candidates, blocks, seed = 0 } = options;
  const others = candidates.filter((b) => !like.skip.includes(b));
  if (others.length < like.skip.length) {
    throw new ModalscopeError(
      `${like.skip.length} other blocks are wanted as a control of ${like.name}, and there are ${others.length}.`,
    );
  }
  const drawn = seeded(seed)
    .shuffle(others)
    .slice(0, like.skip.length)
    .sort((a, b) => a - b);
  return plan(`${like.name} control`, drawn, blocks, `without ${drawn.join(", ")}, as many as ${like.name}`);
}

/** Blocks after `from` and before `to`. */
function between(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from - 1) }, (_, i) => from + 1 + i);
}

function plan(name: string, skip: readonly number[], blocks: number, says: string): SkipPlan {
  return { name, skip, saved: skip.length / blocks, says };
}
