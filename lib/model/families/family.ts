import type { Node } from "../graph/index.js";
import type { BlockInputs, Experts, ModuleContext } from "../nn/index.js";
import type { ReadoutId, TextConfig, VisionConfig } from "./config.js";
import type { RawConfig } from "./fields.js";

/** One architecture: how its config is read and what its blocks and head compute. */
export interface Family<Config extends TextConfig = TextConfig> {
  readonly modelTypes: readonly string[];
  /** Checkpoint name of the token embedding, of learned positions, of a block's weights and of the head's. */
  readonly names: {
    readonly embedding: string;
    /** (max_position_embeddings, hidden_size): added to the embeddings, where positions are learned. */
    readonly positions?: string;
    readonly layer: (l: number) => string;
    readonly head: string;
  };
  /** Vision tower and projector of a vision-language model. */
  readonly vision?: VisionFamily;
  /**
   * Reads config.json; fields that it leaves out have the defaults of transformers.
   * @throws ModalscopeError for a config that this architecture cannot have
   */
  parse(raw: RawConfig): Config;
  /** A block's mixture of experts, where it has one. */
  experts?(config: Config, layer: number): Experts | undefined;
  /** Factor on the token embeddings. */
  embeddingScale(config: Config): number;
  /** One decoder block: the residual stream in, the residual stream out, (batch, time, hidden_size) each. */
  block(config: Config, layer: number, ctx: ModuleContext, inputs: BlockInputs): Node;
  /** Final norm and language head: (…, hidden_size) → logits (…, vocab_size). */
  head(config: Config, ctx: ModuleContext, x: Node): Node;
}

/** Inputs of a tower's embedding. */
export interface PatchInputs {
  /** (batch, patches, patchDim) */
  readonly patches: Node;
  /** (batch, patches, numPositions): weight of each learned position at a patch, where grids differ in size. */
  readonly positionWeights: Node;
}

/** Vision tower and projector: from patches of images to vectors of the language model's stream. Rows are images, or their tiles. */
export interface VisionFamily<Config extends VisionConfig = VisionConfig> {
  /** `model_type` of the language model: one that `text_config` cannot change, or a default. */
  readonly text: { readonly modelType: string; readonly fixed: boolean };
  /** Whether the language model's `tie_word_embeddings` counts beside the whole model's. */
  readonly textMayTie?: boolean;
  /**
   * @param raw config.json, with the defaults of the whole model filled in
   * @throws ModalscopeError for a config that this tower cannot have
   */
  parse(raw: RawConfig, text: TextConfig): Config;
  /** Prefix of the weights' names of one block. */
  readonly layer: (l: number) => string;
  /** Patches and their positions as the stream that enters the first block: (batch, time, hidden_size). */
  embed(config: Config, ctx: ModuleContext, inputs: PatchInputs): Node;
  block(config: Config, layer: number, ctx: ModuleContext, inputs: BlockInputs): Node;
  /** The norm after the last block, where a readout asks for it. */
  final?(config: Config, ctx: ModuleContext, x: Node): Node;
  /** (batch, time, hidden_size · streams) → (batch, tokens, out_hidden_size) */
  readout(config: Config, id: ReadoutId, ctx: ModuleContext, x: Node): Node;
  /** Checkpoint name of the vector between the rows of an image's tokens, where there is one. */
  readonly newline?: string;
  /** Whether the square of learned positions is interpolated to grids of other shapes. */
  readonly interpolatesPositions?: boolean;
  /** Whether queries and keys are rotated by row and column. */
  readonly usesRope?: boolean;
  /** Whether the tokens of one image attend to each other in both directions in the language model. */
  readonly bidirectional?: boolean;
}
