import { didYouMean, ModalscopeError } from "../../errors.js";
import type { Family } from "./family.js";
import { gemma3Text } from "./gemma3_text.js";
import { llama, mistral } from "./llama.js";
import { qwen2 } from "./qwen2.js";

const families: readonly Family[] = [qwen2, llama, mistral, gemma3Text];

/** The architecture of a checkpoint, by its config's `model_type`. */
export function familyOf(modelType: string): Family {
  const family = families.find((f) => f.modelTypes.includes(modelType));
  if (family) return family;
  const known = families.flatMap((f) => f.modelTypes);
  throw new ModalscopeError(
    `The architecture "${modelType}" is not known.`,
    `Known are ${known.join(", ")}.`,
    didYouMean(modelType, known),
  );
}

export type { TextConfig } from "./config.js";
export type { Family } from "./family.js";
