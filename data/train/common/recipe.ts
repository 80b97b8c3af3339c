import type { Estimate } from "../../../lib/analysis/index.js";
import type { Model } from "../../../lib/model/model.js";
import type { Weights } from "../../../lib/model/training/index.js";
import type { Random } from "../../../lib/random.js";
import type { VisualTask } from "../../../lib/tasks/index.js";
import type { TokenizerFiles } from "./words.js";

/** Questions about one image, a turn each: the first shows it, describes it in words, or is blind. */
export type Conversation = readonly VisualTask[];

/** A prompt, which is read, and the reply to it, which is learned. Special tokens are written out. */
export interface Exchange {
  readonly prompt: string;
  readonly reply: string;
}

/** Plain text to learn from, without a chat template: exchanges one after the other. */
export interface Transcript {
  readonly exchanges: readonly Exchange[];
}

/** One row of a batch. A stage has rows of one sort. */
export type Row = Conversation | Transcript;

/** Draws one more row to learn from. */
export type Draw<R extends Row = Row> = () => R;

/** A source of training tasks and how often it is drawn from, relative to the others. */
export interface Source {
  readonly share: number;
  readonly draw: Draw;
}

/** A multi-label loss: at each visual token, which words are true of what lies there. */
export interface Labels {
  /** Of all annotations that have any; the same in every stage of a recipe. */
  readonly words: readonly string[];
  /** Factor of this loss beside the cross-entropy of the answers. */
  readonly coefficient: number;
}

/** A part of the training with its own data and learning rate. */
export interface Stage {
  readonly name: string;
  /**
   * Part of the recipe's model that is trained: the whole, its language model alone, or its tower alone, which learns
   * from labels and nothing else.
   */
  readonly part: "tower" | "language" | "whole";
  readonly steps: number;
  /** Rows of a step. */
  readonly rows: number;
  /** Largest learning rate; it warms up and falls along a cosine. */
  readonly rate: number;
  /** Decoupled weight decay of matrices; 0.05 unless given. */
  readonly decay?: number;
  /** Coefficient of the experts' load-balancing loss. */
  readonly balance?: number;
  /** Labels that visual tokens learn to tell of the image, beside the answers. */
  readonly labels?: Labels;
  /** Weights that stay as they are, by patterns of their names. */
  readonly frozen?: readonly string[];
  /**
   * Made anew, with a generator of its own, every few steps: so training can go on anywhere.
   * @param progress share of the stage's steps that are done, for mixtures that change on the way
   */
  sources(random: Random, progress: number): Promise<readonly Source[]>;
}

/** Questions on which a checkpoint is measured. */
export interface Trial {
  readonly name: string;
  readonly tasks: readonly VisualTask[];
  /** Results that others report on it, with their source. */
  readonly published?: string;
}

/** Further measurement on a checkpoint: a table of its card. */
export interface Finding {
  readonly name: string;
  readonly about: string;
  readonly columns: readonly string[];
  /** Estimates are shares, which the card gives in per cent with their intervals. */
  readonly rows: readonly (readonly (string | number | Estimate)[])[];
}

/** Everything that makes a checkpoint. */
export interface Recipe {
  readonly name: string;
  readonly description: string;
  /** ISO 639-1 codes, for the model card. */
  readonly languages: readonly string[];
  /** Of weights and data, unless another is asked for. */
  readonly seed: number;
  tokenizer(options: DataOptions): Promise<TokenizerFiles>;
  /** config.json, from the tokenizer's sizes and ids. */
  config(vocabulary: number, id: (token: string) => number): Record<string, unknown>;
  /** Changes fresh weights (normal, with the config's `initializer_range`) so that they learn sooner. */
  initialize(weights: Weights, tokenizer: TokenizerFiles, seed: number): void;
  /** Files of the processor beside it, by name. */
  readonly files: Readonly<Record<string, Record<string, unknown>>>;
  /** Options that its training needs, such as a folder of data. */
  readonly needs?: string;
  stages(options: DataOptions): readonly Stage[];
  trials(options: DataOptions): Promise<readonly Trial[]>;
  findings?(model: Model, options: DataOptions): Promise<readonly Finding[]>;
}

export interface DataOptions {
  readonly seed: number;
  /** Folder of easy-VQA's package. */
  readonly easyVqa: string;
}
