import { ModalscopeError } from "../../../errors.js";
import type { Fields } from "./fields.js";

type Rope = Record<string, unknown>;

/**
 * `rope_parameters` of a model's rotary embedding, as transformers 5 writes them.
 * @param headDim numbers per head, all of which must be turned
 * @param factors values of `rope_freqs.weight`, (headDim / 2): what each frequency is divided by
 */
export function ropeParameters(f: Fields, prefix: string, headDim: number, factors?: Float32Array): Rope {
  const turned = f.optionalCount(`${prefix}.rope.dimension_count`) ?? headDim;
  if (turned !== headDim) {
    throw new ModalscopeError(
      `${f.path} turns ${turned} of the ${headDim} numbers of each head by position,`,
      "and only whole heads are supported.",
    );
  }
  const theta = f.optionalNumber(`${prefix}.rope.freq_base`) ?? 10_000;
  if (factors) return { ...factorScaling(f, headDim, theta, factors), rope_theta: theta };
  return { ...namedScaling(f, prefix), rope_theta: theta };
}

function namedScaling(f: Fields, prefix: string): Rope {
  const key = `${prefix}.rope.scaling`;
  // Before scaling had types, files had just a linear factor.
  const old = f.optionalNumber(`${prefix}.rope.scale_linear`);
  const type = f.optionalText(`${key}.type`) ?? (old === undefined || old === 1 ? "none" : "linear");
  if (type === "none") return { rope_type: "default" };
  const factor = f.optionalNumber(`${key}.factor`) ?? old;
  if (factor === undefined) {
    throw new ModalscopeError(
      `${f.path} scales its rotary embedding (${type})`,
      "and does not say by how much.",
    );
  }
  if (type === "linear") return { rope_type: "linear", factor };
  if (type === "yarn") return { rope_type: "yarn", factor, ...yarnOptions(f, prefix, key) };
  throw new ModalscopeError(
    `${f.path} scales its rotary embedding by "${type}",`,
    "and supported are linear, yarn and llama3.",
    "Use the Hugging Face folder of this model.",
  );
}

function yarnOptions(f: Fields, prefix: string, key: string): Rope {
  const optional = {
    beta_fast: f.optionalNumber(`${key}.yarn_beta_fast`),
    beta_slow: f.optionalNumber(`${key}.yarn_beta_slow`),
  };
  return {
    original_max_position_embeddings:
      f.optionalCount(`${key}.original_context_length`) ?? f.count(`${prefix}.context_length`),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/**
 * Llama 3's scaling from its factors. llama.cpp stores what each frequency is divided by, not the parameters:
 * 1 for short wavelengths λ, `factor` for long ones, and between them
 * 1 / ((1 − s) / factor + s) with s = (L/λ − low) / (high − low). Here s is linear in 1/λ, so two
 * frequencies in between give its slope and offset. Of L, low and high only the ratios matter: low is taken
 * as 1, its value in every model. With fewer than two in between, high and L have their published values too.
 * The result is kept only if it gives the factors again.
 *
 * Factors of another form are given whole, as the short and long factors of "longrope", which divides
 * frequencies by them as they are.
 */
function factorScaling(f: Fields, headDim: number, theta: number, factors: Float32Array): Rope {
  if (factors.length !== headDim / 2 || !factors.every((x) => Number.isFinite(x) && x > 0)) {
    throw new ModalscopeError(
      `${f.path}: rope_freqs.weight should hold ${headDim / 2} positive factors,`,
      `one per frequency, and has ${factors.length} numbers.`,
      "Download or convert it again.",
    );
  }
  if (factors.every((x) => x === 1)) return { rope_type: "default" };
  const frequencies = Array.from(factors, (_, i) => theta ** ((-2 * i) / headDim) / (2 * Math.PI)); // 1/λ
  const llama3 = solveLlama3(frequencies, factors);
  if (llama3) return llama3;
  return {
    rope_type: "longrope",
    short_factor: [...factors],
    long_factor: [...factors],
    attention_factor: 1,
    original_max_position_embeddings: f.count("llama.context_length"),
  };
}

function solveLlama3(frequencies: readonly number[], factors: Float32Array): Rope | undefined {
  const factor = Math.max(...factors);
  const blend = (x: number): number => (1 / x - 1 / factor) / (1 - 1 / factor);
  const between = frequencies
    .map((frequency, i) => ({ frequency, s: blend(factors[i]) }))
    .filter((_, i) => factors[i] > 1 && factors[i] < factor);
  const { high, original } = thresholds(between);
  const parameters = {
    rope_type: "llama3",
    factor: tidy(factor),
    low_freq_factor: 1,
    high_freq_factor: high,
    original_max_position_embeddings: original,
  };
  const explains = frequencies.every((frequency, i) => {
    const expected = llama3Factor(frequency, parameters);
    return Math.abs(factors[i] - expected) <= 1e-4 * expected;
  });
  return explains ? parameters : undefined;
}

/** `high` and L of Llama 3's scaling, from the blend s at frequencies 1/λ. */
function thresholds(between: readonly { frequency: number; s: number }[]): {
  high: number;
  original: number;
} {
  const published = 4;
  if (between.length === 0) return { high: published, original: 8192 };
  const first = between[0];
  const last = between[between.length - 1];
  if (first === last) {
    const turns = 1 + first.s * (published - 1); // L/λ
    return { high: published, original: Math.round(turns / first.frequency) };
  }
  const slope = (first.s - last.s) / (first.frequency - last.frequency); // L / (high − 1)
  const offset = first.s - slope * first.frequency; // −1 / (high − 1)
  const high = tidy(1 - 1 / offset);
  return { high, original: Math.round(slope * (high - 1)) };
}

function llama3Factor(
  frequency: number,
  p: {
    factor: number;
    low_freq_factor: number;
    high_freq_factor: number;
    original_max_position_embeddings: number;
  },
): number {
  const turns = p.original_max_position_embeddings * frequency; // L/λ
  if (turns > p.high_freq_factor) return 1;
  if (turns < p.low_freq_factor) return p.factor;
  const s = (turns - p.low_freq_factor) / (p.high_freq_factor - p.low_freq_factor);
  return 1 / ((1 - s) / p.factor + s);
}

/** The round number that a float32 computation stands for. */
function tidy(x: number): number {
  return Number(x.toPrecision(4));
}
