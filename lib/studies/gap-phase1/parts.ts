/** Measurements of the study: one part for each experiment, as plain arrays that checkpoints, files or a hand can fill. */
import type { Sides, Untestable } from "../index.js";

export type SampleGrade = "easy" | "hard";

/** `(samples, layers)`, or `(samples, …)` as a part says. */
export type Rows = readonly (readonly number[])[];

/** Of each sample. */
export interface Samples {
  readonly grades: readonly SampleGrade[];
  /** The image that it is about: intervals are over images. */
  readonly clusters: readonly string[];
}

/** Causal tracing: visual tokens corrupted from a block on. */
export interface Tracing extends Samples {
  /** (samples, blocks): log p(answer) under the corruption less the clean run's, nats; below 0 where it harms. */
  readonly delta: Rows;
}

/** Answers with visual tokens truncated from some blocks on. */
export interface Truncated {
  readonly layers: readonly number[];
  /** (samples, layers): 1 where right. */
  readonly right: Rows;
}

export type TruncationKind = "mean" | "zero" | "hidden";

/** Truncation by each replacement, beside the answers with and without the image. */
export interface Truncation extends Samples {
  readonly blocks: number;
  readonly right: readonly number[];
  readonly blind: readonly number[];
  readonly by: Readonly<Partial<Record<TruncationKind, Truncated>>>;
}

/** Geometry of the tokens after each block. */
export interface Geometry {
  /** ICC(1) of visual tokens, images being the groups: (blocks), (draws, blocks) over images, (shuffles, blocks). */
  readonly icc: { readonly curve: readonly number[]; readonly draws: Rows; readonly shuffled: Rows };
  /** (images, blocks): effective rank of an image's tokens. */
  readonly visualRank: Rows;
  /** (samples, blocks): effective rank of the text's tokens, with the image and on the text alone. */
  readonly textRank: { readonly withImage: Rows; readonly textOnly: Rows };
  readonly cka: {
    /** Samples of a draw. */
    readonly sizes: readonly number[];
    /** (sizes, blocks): debiased CKA and that of shuffled pairs, means over draws. */
    readonly value: Rows;
    readonly floor: Rows;
    /** (sizes): share of draws and blocks that exceed 95% of their shuffles. */
    readonly power: readonly number[];
    /** 1 for each draw of ten samples and a block that exceeds its floor. */
    readonly exceeds: readonly number[];
  };
}

/** Attention between text and image by block. */
export interface Flow extends Samples {
  /** (samples, blocks): share of the text's attention that goes to visual tokens. */
  readonly toImage: Rows;
  /** (samples): that share if attention were spread evenly, which is what as many random tokens get. */
  readonly even: readonly number[];
  /** (samples, blocks): share of the visual tokens' attention that goes to the text before them. */
  readonly toText: Rows;
}

/** Linear probes for what the image shows, on the last token. */
export interface Probes extends Samples {
  /** (samples, blocks + 1): 1 where right, before the first block and after each one. */
  readonly right: Rows;
  /** (samples): 1 where a probe on shuffled labels is, after the last block. */
  readonly control: readonly number[];
  /** (blocks + 1): mean accuracy with shuffled labels. */
  readonly chance: readonly number[];
}

/** Experts of visual and text tokens. */
export interface Routing {
  /** (samples, blocks): at equal numbers of tokens. */
  readonly jaccard: Rows;
  readonly divergence: Rows;
  /** (shuffles, blocks): means over samples with the kinds of token shuffled. */
  readonly jaccardFloor: Rows;
  readonly divergenceFloor: Rows;
  /** (blocks), bits: the router's entropy at visual and at text tokens. */
  readonly entropy: { readonly visual: readonly number[]; readonly text: readonly number[] };
  /** (blocks − 1): Jaccard index of the experts that visual tokens use most in a block and in the next. */
  readonly carriedOn: readonly number[];
}

/** Answers lost when experts of the window are silenced: 1 where one is. */
export interface Silencing {
  readonly clusters: readonly string[];
  /** Lost without visual tokens. */
  readonly full: readonly number[];
  readonly chosen: Sides;
  readonly random: readonly Sides[];
  /** Names of the chosen ones: "9.2", block and expert. */
  readonly experts: readonly string[];
}

/** Truncation of the passage of text-only twins, beside that of the visual tokens of their questions. */
export interface Twins extends Samples {
  readonly blocks: number;
  readonly right: readonly number[];
  readonly blind: readonly number[];
  readonly text: Truncated;
  readonly image: Truncated;
}

/** Visual tokens kept up to the window. */
export interface Pruning extends Samples {
  readonly right: readonly number[];
  readonly halfTruncated: readonly number[];
  readonly plans: readonly {
    readonly rule: string;
    readonly keep: number;
    readonly right: readonly number[];
    readonly equivalentTokens: number;
    /** Share of the multiplications of the blocks. */
    readonly compute: number;
  }[];
}

/** The study's experiments. */
export interface Parts {
  readonly tracing: Tracing;
  readonly truncation: Truncation;
  readonly geometry: Geometry;
  readonly flow: Flow;
  readonly probes: Probes;
  readonly routing: Routing;
  readonly silencing: Silencing;
  readonly twins: Twins;
  readonly pruning: Pruning;
}

export type PartName = keyof Parts;

export const PART_NAMES: readonly PartName[] = [
  "tracing",
  "truncation",
  "geometry",
  "flow",
  "probes",
  "routing",
  "silencing",
  "twins",
  "pruning",
];

/** Measurements of each part, or why there are none. */
export type Measurements = { readonly [P in PartName]: Parts[P] | Untestable };
