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
}

const RECIPES: readonly TranscoderRecipe[] = [
  {
    name: "text",
    about: "per layer, on words alone",
    kind: "per-layer",
    images: false,
    ...{ expansion: 8, k: 8, steps: 160, rate: 2e-3 },
  },
  {
    name: "text-images",
    about: "per layer, on words and images",
    kind: "per-layer",
    images: true,
    ...{ expansion: 8, k: 8, steps: 160, rate: 2e-3 },
  },
  {
    name: "cross-layer",
    about: "cross-layer, on words and images",
    kind: "cross-layer",
    images: true,
    ...{ expansion: 4, k: 8, steps: 120, rate: 2e-3 },
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
