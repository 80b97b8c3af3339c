import { ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";

/** `rope_parameters` of config.json, as transformers 5 writes them. */
export interface RopeParameters {
  readonly rope_type: string;
  readonly rope_theta: number;
  readonly factor?: number;
  readonly attention_factor?: number;
  readonly beta_fast?: number;
  readonly beta_slow?: number;
  readonly mscale?: number;
  readonly mscale_all_dim?: number;
  readonly truncate?: boolean;
  readonly low_freq_factor?: number;
  readonly high_freq_factor?: number;
  readonly original_max_position_embeddings?: number;
  /** Pairs of dimensions that turn with time, row and column, where these are apart. */
  readonly mrope_section?: readonly number[];
}

/** Radians per position for each pair of dimensions, and a factor on cosine and sine. */
export interface RopeFrequencies {
  readonly inverse: Float32Array;
  readonly scale: number;
}

type Raw = Readonly<Record<string, unknown>>;

/**
 * Rotary parameters in one form, from `rope_scaling` or `rope_parameters` and the older `rope_theta`: of two that are
 * given, the first counts, as in transformers.
 * @param raw with defaults filled in
 */
export function standardRope(raw: Raw): RopeParameters {
  const given = part(raw, "rope_scaling") ?? part(raw, "rope_parameters") ?? {};
  const original = raw.original_max_position_embeddings;
  return ropeParameters(
    {
      rope_theta: raw.rope_theta,
      ...given,
      ...(typeof original === "number" && { original_max_position_embeddings: original }),
    },
    raw.max_position_embeddings,
  );
}

/** An object of the config; undefined where it is null, left out or empty. */
function part(raw: Raw, name: string): Raw | undefined {
  const value = raw[name] ?? {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ModalscopeError(
      `config.json has "${name}": ${JSON.stringify(value).slice(0, 200)}.`,
      "It must be an object.",
    );
  }
  return Object.keys(value).length > 0 ? (value as Raw) : undefined;
}

/**
 * One set of rotary parameters, checked.
 * @param maxPositions `max_position_embeddings`, which a scaling that names no original length starts from
 */
export function ropeParameters(given: Raw, maxPositions: unknown): RopeParameters {
  const rope_type = String(given.rope_type ?? given.type ?? "default");
  const original = given.original_max_position_embeddings ?? maxPositions;
  const parameters = { ...given, rope_type, original_max_position_embeddings: original } as RopeParameters;
  const needed = own(required, rope_type);
  if (!needed) {
    throw new ModalscopeError(
      `config.json asks for the rotary scaling "${rope_type}".`,
      `Known are ${Object.keys(required).join(", ")}.`,
    );
  }
  const missing = needed.find((name) => parameters[name] === undefined || parameters[name] === null);
  if (missing) {
    throw new ModalscopeError(
      `The rotary scaling "${rope_type}" in config.json lacks the number "${missing}".`,
    );
  }
  for (const [name, expected] of Object.entries(expectations)) {
    const value = parameters[name as keyof RopeParameters] ?? undefined;
    if (value === undefined || expected.holds(value)) continue;
    throw new ModalscopeError(
      `The rotary scaling "${rope_type}" in config.json has "${name}": ${JSON.stringify(value)}.`,
      `It must be ${expected.what}.`,
    );
  }
  return parameters;
}

interface Expectation {
  readonly what: string;
  holds(value: unknown): boolean;
}

const aboveZero: Expectation = {
  what: "a number above zero",
  holds: (value) => typeof value === "number" && Number.isFinite(value) && value > 0,
};
const notNegative: Expectation = {
  what: "a number of zero or more",
  holds: (value) => typeof value === "number" && Number.isFinite(value) && value >= 0,
};

/** Condition that each parameter must meet where it is given. */
const expectations: Readonly<Record<string, Expectation>> = {
  rope_theta: aboveZero,
  factor: aboveZero,
  attention_factor: aboveZero,
  beta_fast: aboveZero,
  beta_slow: aboveZero,
  mscale: notNegative,
  mscale_all_dim: notNegative,
  low_freq_factor: aboveZero,
  high_freq_factor: aboveZero,
  original_max_position_embeddings: aboveZero,
  partial_rotary_factor: { what: "1: heads that turn in part are not known", holds: (value) => value === 1 },
  truncate: { what: "true or false", holds: (value) => typeof value === "boolean" },
};

const required: Readonly<Record<string, readonly (keyof RopeParameters)[]>> = {
  default: ["rope_theta"],
  linear: ["rope_theta", "factor"],
  llama3: ["rope_theta", "factor", "low_freq_factor", "high_freq_factor"],
  yarn: ["rope_theta"],
};

/**
 * Inverse frequencies θ^(−2i/d), scaled as `rope_type` says; rounded to float32 where transformers rounds.
 * Linear: Chen et al. 2023; llama3: Llama 3.1's release; yarn: Peng et al. 2023, eqs. 17–18 and 22.
 */
export function ropeFrequencies(p: RopeParameters, headDim: number, maxPositions: number): RopeFrequencies {
  const pairs = headDim / 2;
  const base = Float32Array.from(
    { length: pairs },
    (_, i) => 1 / Math.fround(p.rope_theta ** ((2 * i) / headDim)),
  );
  switch (p.rope_type) {
    case "linear":
      return { inverse: base.map((f) => f / p.factor!), scale: 1 };
    case "llama3":
      return { inverse: base.map((f) => llama3(f, p)), scale: 1 };
    case "yarn":
      return yarn(base, p, headDim, maxPositions);
    default:
      return { inverse: base, scale: 1 };
  }
}

function llama3(frequency: number, p: RopeParameters): number {
  const length = p.original_max_position_embeddings!;
  const wavelength = (2 * Math.PI) / frequency;
  const [low, high, factor] = [p.low_freq_factor!, p.high_freq_factor!, p.factor!];
  if (wavelength < length / high) return frequency;
  if (wavelength > length / low) return frequency / factor;
  const smooth = (length / wavelength - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

function yarn(base: Float32Array, p: RopeParameters, headDim: number, maxPositions: number): RopeFrequencies {
  const original = p.original_max_position_embeddings!;
  const factor = p.factor ?? maxPositions / original;
  const magnitude = (m: number): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  const suggested =
    p.mscale && p.mscale_all_dim ? magnitude(p.mscale) / magnitude(p.mscale_all_dim) : magnitude(1);
  // The pair of dimensions that turns `rotations` times over the original context.
  const pairOf = (rotations: number): number =>
    (headDim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(p.rope_theta));
  const rounded = p.truncate !== false;
  const [fast, slow] = [pairOf(p.beta_fast ?? 32), pairOf(p.beta_slow ?? 1)];
  const low = Math.max(rounded ? Math.floor(fast) : fast, 0);
  let high = Math.min(rounded ? Math.ceil(slow) : slow, headDim - 1);
  if (low === high) high += 0.001;
  const inverse = base.map((f, i) => {
    const interpolated = Math.min(Math.max((i - low) / (high - low), 0), 1);
    return (f / factor) * interpolated + f * (1 - interpolated);
  });
  return { inverse, scale: p.attention_factor ?? suggested };
}

/**
 * Cosines and sines of positions, each pair's angle twice: (…positions, headDim).
 * @param positions any number of positions along one axis, or as many along each of time, row and column
 * @param sections how many pairs turn with each of the three (`mrope_section`)
 */
export function rotations(
  positions: readonly ArrayLike<number>[],
  { inverse, scale }: RopeFrequencies,
  sections?: readonly number[],
): { cos: Float64Array; sin: Float64Array } {
  const pairs = inverse.length;
  const count = positions[0].length;
  const axes = Array.from(
    { length: pairs },
    (_, i) => positions[positions.length > 1 ? axisOf(i, sections) : 0],
  );
  const cos = new Float64Array(count * pairs * 2);
  const sin = new Float64Array(count * pairs * 2);
  for (let t = 0; t < count; t++) {
    for (let i = 0; i < pairs; i++) {
      const angle = Math.fround(axes[i][t] * inverse[i]);
      const a = t * pairs * 2 + i;
      cos[a] = cos[a + pairs] = Math.cos(angle) * scale;
      sin[a] = sin[a + pairs] = Math.sin(angle) * scale;
    }
  }
  return { cos, sin };
}

/** Which axis a pair turns with: row, column and time take turns until a section is used up; time has what is left (Qwen3-VL). */
function axisOf(pair: number, sections: readonly number[] = []): number {
  const axis = pair % 3;
  return axis > 0 && pair < 3 * (sections[axis] ?? 0) ? axis : 0;
}
