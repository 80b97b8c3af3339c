/** What makes vectors of the language model's stream from the tower's: the projector, and one merger per DeepStack layer. */
export type ReadoutId = "projector" | `projector.deepstack.${number}`;

export interface Readout {
  readonly id: ReadoutId;
  /** Where the tower's stream is read: after these blocks, side by side (−1: the embedding), or after the final norm. */
  readonly after: readonly number[] | "final";
  /** The language model's block after which the result is added; left out, it takes the image tokens' places. */
  readonly into?: number;
}

/** The fields of `vision_config` that the towers read, defaults filled in. */
export interface VisionConfig {
  readonly model_type: string;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  /** Blocks that run; those whose output nothing reads are left out. */
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly head_dim: number;
  readonly hidden_act: string;
  readonly layer_norm_eps: number;
  readonly patch_size: number;
  /** Numbers of one patch: channels (· frames) · patch_size². */
  readonly patch_values: number;
  /** Learned positions, the class token's included. */
  readonly num_positions: number;
  /** Leading tokens that stand for no patch: CLIP's class token. */
  readonly class_tokens: number;
  /** Whether the language model sees these too. */
  readonly keeps_class_tokens: boolean;
  /** Patches along each side that become one vector of the language model. */
  readonly merge: number;
  readonly readouts: readonly Readout[];
  /** The language model's width. */
  readonly out_hidden_size: number;
  /** The token that stands for one vector of a picture. */
  readonly image_token_id: number;
}
