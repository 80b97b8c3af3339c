/** The sets of transcoders that are trained for a checkpoint. */

import type { TranscoderSpec } from "../../../lib/circuits/index.js";
import { didYouMean, ModalscopeError } from "../../../lib/errors.js";

export interface TranscoderRecipe {
  readonly name: string;
  readonly about: string;
  readonly kind: TranscoderSpec["kind"];
  /** Whether conversations about images are among what it learns from. */
  readonly images: boolean;
  /** Features for each element of the stream's vectors. */
  readonly expansion: number;
  readonly k: number;
  readonly steps: number;
  readonly rate: number;
  /** Tokens of a step. */
  readonly stepTokens: number;
}

const COMMON = { k: 8, rate: 2e-3, stepTokens: 1024 } as const;

const RECIPES: readonly TranscoderRecipe[] = [
  {
    name: "text",
    about: "per layer, on words alone",
    kind: "per-layer",
    images: false,
    ...{ ...COMMON, expansion: 8, steps: 160 },
  },
  {
    name: "text-images",
    about: "per layer, on words and images",
    kind: "per-layer",
    images: true,
    ...{ ...COMMON, expansion: 8, steps: 160 },
  },
  {
    name: "cross-layer",
    about: "cross-layer, on words and images",
    kind: "cross-layer",
    images: true,
    ...{ ...COMMON, expansion: 4, steps: 80 },
  },
];

/** @throws ModalscopeError for an unknown name */
export function transcoderRecipes(name: string | undefined): readonly TranscoderRecipe[] {
  const found = RECIPES.filter((recipe) => name === undefined || recipe.name === name);
  if (found.length > 0) return found;
  const names = RECIPES.map((recipe) => recipe.name);
  throw new ModalscopeError(
    `There is no set of transcoders "${name}" to train.`,
    `There are ${names.join(", ")}.`,
    didYouMean(name ?? "", names),
  );
}
