import { loadStudy } from "../load.js";

/** Numbers of the study's rules, from `data/studies/knowledge-evolution.json`. */
export interface EvolutionRules {
  /** Depth at which the rapid stage ends: the document's, 18 of 32 blocks. */
  readonly critical: number;
  /** Least height of a mutation above the median of a token's later changes, bits. */
  readonly prominence: number;
  readonly candidateProbability: number;
  readonly longStep: number;
  readonly lastBlocks: number;
  readonly sensitivity: readonly number[];
  readonly questionImages: number;
}

interface EvolutionStudy {
  readonly model: { readonly layers: number };
  readonly critical: { readonly byDivergence: number };
  readonly rules: Omit<EvolutionRules, "critical">;
}

/** The study's rules, and the document's critical layer as a share of its depth. */
export function evolutionRules(): EvolutionRules {
  const { model, critical, rules } = loadStudy<EvolutionStudy>("knowledge-evolution");
  return { ...rules, critical: critical.byDivergence / model.layers };
}
