import type { Estimate } from "../../../lib/analysis/index.js";
import type { Model } from "../../../lib/model/model.js";
import type { Random } from "../../../lib/random.js";
import type { VisualTask } from "../../../lib/tasks/index.js";
import type { TokenFrame } from "./words.js";

/** What is asked about one picture, a turn each: the first shows it, says it in words, or withholds it. */
export type Conversation = readonly VisualTask[];

/** Draws one more conversation to learn from. */
export type Draw = () => Conversation;

/** A source of training tasks and how often it is drawn from, relative to the others. */
export interface Source {
  readonly share: number;
  readonly draw: Draw;
}

/** A part of the training with its own data and learning rate. */
export interface Stage {
  readonly name: string;
  /**
   * Which model of the recipe is trained: the whole, its language model alone, or its tower alone, which says what it
   * sees through a language model of three blocks that is thrown away (Tschannen et al. 2023,
   * https://arxiv.org/abs/2306.07915).
   */
  readonly part: "tower" | "language" | "whole";
  readonly steps: number;
  /** Rows of a step. */
  readonly rows: number;
  /** Largest learning rate; it warms up and falls along a cosine. */
  readonly rate: number;
  /** How much the experts' balance counts. */
  readonly balance?: number;
  /** Weights that stay as they are, by patterns of their names. */
  readonly frozen?: readonly string[];
  /** Made anew, with a generator of its own, every few steps: so training can go on anywhere. */
  sources(random: Random): Promise<readonly Source[]>;
}

/** Questions on which a checkpoint is measured. */
export interface Trial {
  readonly name: string;
  readonly tasks: readonly VisualTask[];
  /** What others report on it, with where they say so. */
  readonly published?: string;
}

/** What else is measured on a checkpoint: a table of its card. */
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
  /** Of weights and data, unless another is asked for. */
  readonly seed: number;
  readonly frame: TokenFrame;
  /** Texts whose words are tokens. */
  texts(options: DataOptions): Promise<Iterable<string>>;
  /** config.json, from the tokenizer's sizes and ids. */
  config(vocabulary: number, id: (token: string) => number): Record<string, unknown>;
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
