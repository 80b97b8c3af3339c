import type { Node } from "../graph/index.js";
import type { BlockInputs, Experts, ModuleContext } from "../nn/index.js";
import type { RawConfig, ReadoutId, TextConfig, VisionConfig } from "./config.js";

/** One architecture: how its config is read and what its blocks and head compute. */
export interface Family {
  readonly modelTypes: readonly string[];
  /** Checkpoint name of the token embedding, of learned positions, of a block's weights and of the head's. */
  readonly names: {
    readonly embedding: string;
    /** (max_position_embeddings, hidden_size): added to the embeddings, where positions are learned. */
    readonly positions?: string;
    readonly layer: (l: number) => string;
    readonly head: string;
  };
  /** How it sees, if it does. */
  readonly vision?: VisionFamily;
  /** @throws ModalscopeError for a config that this architecture cannot have */
  parse(raw: RawConfig): TextConfig;
  /** A block's mixture of experts, where it has one. */
  experts?(config: TextConfig, layer: number): Experts | undefined;
  /** Factor on the token embeddings. */
  embeddingScale(config: TextConfig): number;
  /** One decoder block: the residual stream in, the residual stream out. */
  block(config: TextConfig, layer: number, ctx: ModuleContext, inputs: BlockInputs): Node;
  /** Final norm and language head: (…, hidden_size) → logits (…, vocab_size). */
  head(config: TextConfig, ctx: ModuleContext, x: Node): Node;
}

/** Weight names of the text models that transformers saves. */
export const standardNames: Family["names"] = {
  embedding: "model.embed_tokens.weight",
  layer: (l) => `model.layers.${l}.`,
  head: "",
};

/** The language head's matrix: its own, or the token embedding's. */
export function headWeight(config: TextConfig, ctx: ModuleContext): Node {
  const name = config.tie_word_embeddings ? standardNames.embedding : "lm_head.weight";
  return ctx.weight(name, [config.vocab_size, config.hidden_size]);
}

/** What the tower's embedding is given. */
export interface PatchInputs {
  /** (batch, patches, patch_values) */
  readonly patches: Node;
  /** (batch, patches, num_positions): how much of each learned position a patch gets, where grids differ in size. */
  readonly positionWeights: Node;
}

/** How a model sees: from patches of images to vectors of the language model's stream. Rows are images, or their tiles. */
export interface VisionFamily {
  /** @throws ModalscopeError for a config that this tower cannot have */
  parse(raw: RawConfig, text: TextConfig): VisionConfig;
  /** Prefix of the weights' names of one block. */
  readonly layer: (l: number) => string;
  /** Patches and their positions as the stream that enters the first block: (batch, time, hidden_size). */
  embed(config: VisionConfig, ctx: ModuleContext, inputs: PatchInputs): Node;
  block(config: VisionConfig, layer: number, ctx: ModuleContext, inputs: BlockInputs): Node;
  /** The norm after the last block, where a readout asks for it. */
  final?(config: VisionConfig, ctx: ModuleContext, x: Node): Node;
  /** (batch, time, hidden_size · streams) → (batch, tokens, out_hidden_size) */
  readout(config: VisionConfig, id: ReadoutId, ctx: ModuleContext, x: Node): Node;
  /** Checkpoint name of the vector between the rows of an image's tokens, where there is one. */
  readonly newline?: string;
  /** Whether the square of learned positions is stretched over grids of other shapes. */
  readonly interpolatesPositions?: boolean;
  /** Whether the tower rotates queries and keys by row and column. */
  readonly usesRope?: boolean;
  /** Whether the tokens of one image see each other in both directions in the language model. */
  readonly bidirectional?: boolean;
}
