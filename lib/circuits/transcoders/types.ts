/** Transcoders as data: what reads an MLP's input, which few features are active, and what they write. */
import type { Tensor } from "../../tensor.js";

/** Which pre-activations W_enc x + b_enc become features' activations, and how. */
export type Activation =
  /** max(0, x) */
  | { readonly kind: "relu" }
  /** x where x > threshold (features), else 0 */
  | { readonly kind: "jumprelu"; readonly threshold: Float32Array }
  /**
   * The k largest of a token, after max(0, x); with `signed`, of x itself, so that a negative one may stay.
   * Published
   * code does either.
   */
  | { readonly kind: "topk"; readonly k: number; readonly signed: boolean };

/** Active features at some tokens, row after row (compressed sparse rows); a token's features ascend. */
export interface SparseFeatures {
  readonly tokens: number;
  /** Features that there are, active or not. */
  readonly features: number;
  /** (tokens + 1): token t's entries are `offsets[t] … offsets[t + 1] − 1`. */
  readonly offsets: Int32Array;
  readonly ids: Int32Array;
  /** Activations; none is 0. */
  readonly values: Float32Array;
  /** (tokens): for TopK, the largest activation that was left out; 0 where none was. */
  readonly leftOut: Float32Array;
}

/**
 * One layer of a transcoder set: it reads one hook of a block and writes to that block, or to those above
 * it too.
 */
export interface Transcoder {
  readonly layer: number;
  /** Length of what it reads and writes. */
  readonly width: number;
  readonly features: number;
  readonly activation: Activation;
  /** Hook that it reads, such as `blocks.3.mlp.hook_in`. */
  readonly hookIn: string;
  /** Layers that its features write to, ascending: its own, or with a cross-layer one all from its own on. */
  readonly targets: readonly number[];
  /** (width): b_dec of this layer's output, not of those above it. */
  readonly bias: Float32Array;
  /** (width out, width in): added to this layer's output as skip · x. */
  readonly skip?: Tensor;
  /**
   * Activations of all features.
   * @param x (tokens, width) of `hookIn`
   */
  encode(x: Tensor): Promise<SparseFeatures>;
  /** Rows of W_enc: (ids.length, width). */
  encoderRows(ids: ArrayLike<number>): Tensor;
  /** b_enc of some features. */
  encoderBias(ids: ArrayLike<number>): Float32Array;
  /**
   * What one unit of each feature adds to the output of `target`: (ids.length, width).
   * @param target a layer among `targets` (default: its own)
   */
  decoderRows(ids: ArrayLike<number>, target?: number): Tensor;
}

/** Transcoders of all layers of a model. */
export interface TranscoderSet {
  readonly kind: "per-layer" | "cross-layer";
  /** Name of the model they were made for. */
  readonly model: string;
  /** Hash of the checkpoint whose activations they were trained on, where that is known. */
  readonly checkpoint?: string;
  /** Hook of a block that is read, such as `mlp.hook_in`. */
  readonly hookIn: string;
  /** Hook of a block that is written, such as `mlp.hook_out`. */
  readonly hookOut: string;
  readonly layers: readonly Transcoder[];
  /** Closes the files that rows are read from. */
  close(): void;
}
