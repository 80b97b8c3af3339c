import { didYouMean, ModalscopeError } from "../../lib/errors.js";
import type { Recipe } from "./common/recipe.js";
import { recipe as mathsZhEn } from "./maths-zh-en/recipe.js";
import { recipe as tinyGemma3 } from "./tiny-gemma3/recipe.js";
import { recipe as tinyLlava15 } from "./tiny-llava-1.5/recipe.js";
import { recipe as tinyLlava16 } from "./tiny-llava-1.6/recipe.js";
import { recipe as tinyQwen3VlMoe } from "./tiny-qwen3-vl-moe/recipe.js";

/** Every checkpoint that can be trained, by its name. */
export const recipes: ReadonlyMap<string, Recipe> = new Map(
  [mathsZhEn, tinyLlava15, tinyLlava16, tinyGemma3, tinyQwen3VlMoe].map((r) => [r.name, r]),
);

/** @throws ModalscopeError for an unknown name */
export function recipeNamed(name: string): Recipe {
  const recipe = recipes.get(name);
  if (recipe) return recipe;
  throw new ModalscopeError(
    `There is no checkpoint "${name}" to train.`,
    `There are ${[...recipes.keys()].join(", ")}.`,
    didYouMean(name, [...recipes.keys()]),
  );
}
