/** Measurements of the study as plain arrays, which checkpoints or a law of chance can fill. */
import type { GateSamples, Sides, Untestable, Values } from "../index.js";

/** What was measured, or why it could not be. */
export type Part<T> = T | Untestable;

/** One edit with the chosen features, and with random ones of the same layers and activity, `(samples)` each. */
export interface RandomArms {
  readonly chosen: Values;
  readonly random: readonly Values[];
}

/** The same with what each set leaves. */
export interface MatchedArms {
  readonly chosen: Sides;
  readonly random: readonly Sides[];
}

/** What a unit is about. */
export interface UnitProfile {
  readonly layer: number;
  readonly unit: number;
  /** Concepts of its top activations, the most frequent first. */
  readonly concepts: readonly (readonly [concept: string, count: number])[];
  /** The share of its top activations that the most frequent concept has. */
  readonly purity: number;
}

/** Neurons and features that are active in enough prompts. */
export interface UnitProfiles {
  readonly features: readonly UnitProfile[];
  readonly neurons: readonly UnitProfile[];
}

/** Unexplained variance by held-out prompt, of transcoders trained on text and images and on text alone. */
export interface Training {
  readonly joint: readonly number[];
  readonly text: readonly number[];
}

/** Activation of an associate's features on images that do not show it, in standard deviations. */
export interface Associations {
  /** By image, the features of what usually stands beside this planet. */
  readonly partner: readonly number[];
  /** By image, those of what usually stands beside another. */
  readonly other: readonly number[];
  /** Fall of the former when the planet's features are suppressed. */
  readonly fall: RandomArms;
}

/** Whether an answer becomes the donor's, by image. */
export interface Patch {
  readonly turned: MatchedArms;
  /** The residual stream patched at the same positions. */
  readonly stream: readonly boolean[];
  /** All features of these layers patched. */
  readonly allFeatures: readonly boolean[];
}

export interface Neighbours {
  /** By image, activation of the look-alike's features in standard deviations. */
  readonly lookAlike: readonly number[];
  /** The same of other animals' features, `(nulls, images)`. */
  readonly others: readonly (readonly number[])[];
}

/** Results of sums in images, read by probes: 1 where right. */
export interface Arithmetic {
  /** `(sums, layers)` off the image tokens, and off the last token. */
  readonly image: readonly (readonly number[])[];
  readonly last: readonly (readonly number[])[];
  /** `(sums)`: off the image tokens at half of the depth, with results shuffled. */
  readonly shuffled: readonly number[];
  /** The two numbers and the operation. */
  readonly clusters: readonly string[];
}

/** Counting, and hands with six fingers; logits are less their mean over the vocabulary. */
export interface Counting {
  /** Logit of six less the mean of one's and seven's on hands with six fingers. */
  readonly six: readonly number[];
  /** Logit of the right number less the mean of two others', on six other things. */
  readonly counted: readonly number[];
  /** Other things counted rightly, with the image and without. */
  readonly right: readonly boolean[];
  readonly blind: readonly boolean[];
  /** Fall of five's logit on hands with six fingers when the hand's features are suppressed. */
  readonly fall: RandomArms;
  /** Hands with six fingers counted rightly after that. */
  readonly mended: RandomArms;
  /** Right answers after and before the cut, on hands with five fingers and on other things. */
  readonly five: { readonly cut: readonly boolean[]; readonly clean: readonly boolean[] };
  readonly elsewhere: { readonly cut: readonly boolean[]; readonly clean: readonly boolean[] };
  /** Activation of two's features at the last token, in standard deviations: on hands, on single other things. */
  readonly two: { readonly hands: readonly number[]; readonly others: readonly number[] };
}

export interface Convergence {
  /** `(images, layers)`: share of the activation at image tokens on features that the words for the image activate too. */
  readonly joint: readonly (readonly number[])[];
  /** The same with images and words paired anew, `(draws, layers)` on average. */
  readonly paired: readonly (readonly number[])[];
}

/** A checkpoint on one draw of images. */
export interface Measurements {
  readonly neurons: Part<UnitProfiles>;
  readonly training: Part<Training>;
  /** The same of the embedded sets. */
  readonly embedded?: Training;
  readonly associations: Part<Associations>;
  readonly patch: Part<Patch>;
  readonly neighbours: Part<Neighbours>;
  readonly arithmetic: Part<Arithmetic>;
  readonly counting: Part<Counting>;
  readonly convergence: Part<Convergence>;
  /** Right answers with and without the image. */
  readonly abilities?: readonly GateSamples[];
}
