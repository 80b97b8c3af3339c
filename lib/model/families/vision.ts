import type { Node } from "../graph/node.js";
import type { BlockInputs, Scope } from "../layers.js";
import type { RawConfig, TextConfig } from "./config.js";
import type { ReadoutId, VisionConfig } from "./vision-config.js";

/** What the tower's embedding is given. */
export interface PatchInputs {
  /** (batch, patches, patch_values) */
  readonly patches: Node;
  /** (batch, patches, num_positions): how much of each learned position a patch gets, where grids differ in size. */
  readonly places: Node;
}

/** How a model sees: from patches of pictures to vectors of the language model's stream. Rows are pictures, or their tiles. */
export interface VisionFamily {
  /** @throws ModalscopeError for a config that this tower cannot have */
  parse(raw: RawConfig, text: TextConfig): VisionConfig;
  /** Prefix of the weights' names of one block. */
  readonly layer: (l: number) => string;
  /** Patches and their positions as the stream that enters the first block: (batch, time, hidden_size). */
  embed(config: VisionConfig, scope: Scope, inputs: PatchInputs): Node;
  block(config: VisionConfig, layer: number, scope: Scope, inputs: BlockInputs): Node;
  /** The norm after the last block, where a readout asks for it. */
  final?(config: VisionConfig, scope: Scope, x: Node): Node;
  /** (batch, time, hidden_size · streams) → (batch, tokens, out_hidden_size) */
  readout(config: VisionConfig, id: ReadoutId, scope: Scope, x: Node): Node;
  /** Checkpoint name of the vector between the rows of a picture's tokens, where there is one. */
  readonly newline?: string;
  /** Whether the square of learned positions is stretched over grids of other shapes. */
  readonly stretches?: boolean;
  /** Whether the tower rotates queries and keys by row and column. */
  readonly rotates?: boolean;
  /** Whether the tokens of one picture see each other in both directions in the language model. */
  readonly bidirectional?: boolean;
}
