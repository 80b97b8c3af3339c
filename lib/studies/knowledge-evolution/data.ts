/** Measurements of one checkpoint: all that the claims' evidence is made from. */
import type { EarlyExit, Matrix, Mutations, SkipPlan } from "../../analysis/index.js";
import type { Tensor } from "../../tensor.js";
import type { GateSamples } from "../gate.js";
import type { Mention, TokenKind } from "./mentions.js";

/** The generated tokens of all captions, one after the other. */
export interface Tokens {
  readonly pieces: readonly string[];
  readonly caption: readonly number[];
  readonly kind: readonly TokenKind[];
  /** The token's statement about the image. */
  readonly mention: readonly (Mention | undefined)[];
  /** How many of `candidates` of its early exit, from the second on, are its mention's rivals. */
  readonly rivals: readonly number[];
}

/** Captions without some blocks, by caption. */
export interface SkippedCaptions {
  readonly plan: SkipPlan;
  readonly texts: readonly string[];
  /** Word overlap with the own original, and with the next caption's. */
  readonly overlap: readonly number[];
  readonly elsewhere: readonly number[];
  /** Wrong share of what it says. */
  readonly wrong: readonly number[];
}

/** Answers to one question about several images. */
export interface AnswerGroup {
  readonly question: string;
  readonly answers: readonly string[];
  /** `(states, images, width)` at the position that gives the answer, without the embedding's. */
  readonly states: Tensor;
}

export interface EvolutionData {
  readonly blocks: number;
  /** The last block of the rapid stage. */
  readonly critical: number;
  readonly texts: readonly string[];
  readonly tokens: Tokens;
  /** References: "text alone" and "another image". */
  readonly exit: EarlyExit;
  readonly mutations: Mutations;
  /** `(states, tokens, width)` */
  readonly states: Tensor;
  /** The same tokens read by random weights: changes `(blocks, tokens)`, states `(states, tokens, width)`. */
  readonly twin?: { readonly change: Matrix; readonly states: Tensor };
  /** The same tokens read by the language model from before the visual training, without an image. */
  readonly language?: { readonly change: Matrix; readonly mutations: Mutations };
  /** Wrong share of what each caption says. */
  readonly wrong: readonly number[];
  /** Each plan and as many other blocks; absent where a plan skips nothing. */
  readonly skips: readonly { readonly own: SkippedCaptions; readonly control?: SkippedCaptions }[];
  readonly answers: readonly AnswerGroup[];
  readonly gate: readonly GateSamples[];
}
