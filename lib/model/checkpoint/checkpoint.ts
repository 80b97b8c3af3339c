import type { WeightDtype } from "./numbers/dtypes.js";
import type { QuantisedMatrix } from "./numbers/nbits.js";

/** Location of one weight, under its Hugging Face name (`model.layers.0.self_attn.q_proj.weight` …). */
export interface WeightInfo {
  readonly name: string;
  readonly dtype: WeightDtype;
  /** As Hugging Face has it: (out, in) for a matrix. */
  readonly shape: readonly number[];
  readonly file: string;
  /** First byte in `file`. */
  readonly offset: number;
  readonly byteLength: number;
  /**
   * Inverse of the change that llama.cpp's converter made to the numbers, if any: `read` and `readRows` apply
   * it; code that reads the file's bytes must too. `unpermute`: rows of each of `heads` heads are interleaved
   * for its rotary embedding; `subtractOne`: a Gemma norm, stored as 1 + w.
   */
  readonly inverse?:
    | { readonly kind: "unpermute"; readonly heads: number }
    | { readonly kind: "subtractOne" };
}

/** An opened checkpoint: its configuration and where its weights lie. Nothing is read until asked for. */
export interface Checkpoint {
  /** The folder or file that was opened. */
  readonly path: string;
  readonly format: "safetensors" | "gguf";
  /** `config.model_type`. */
  readonly modelType: string;
  /** config.json, or its like rebuilt from GGUF metadata: the fields that transformers 5 writes. */
  readonly config: Readonly<Record<string, unknown>>;
  /** generation_config.json, or the like from GGUF metadata. */
  readonly generationConfig?: Readonly<Record<string, unknown>>;
  /** Under Hugging Face names. */
  readonly weights: ReadonlyMap<string, WeightInfo>;
  /**
   * Identifies the content: SHA-256 (hex) over configuration, headers, sizes and data; of files over 64 MiB,
   * samples of each weight stand for the data.
   */
  readonly hash: string;
  /**
   * A whole weight as float32, whatever its stored type.
   * @param into filled and returned where given; of the weight's size
   * @throws ModalscopeError for an unknown name (with the nearest ones), a closed checkpoint, a cut-off file
   */
  read(name: string, into?: Float32Array): Float32Array;
  /**
   * Slices along a weight's first axis, reading only those: rows (rows.length, in) of a matrix, such as
   * embeddings of some tokens, or whole experts of a stack.
   * @param into filled and returned where given; of the slices' size
   * @throws ModalscopeError as `read`, and for a row that is not there or a weight of fewer than two axes
   */
  readRows(name: string, rows: readonly number[], into?: Float32Array): Float32Array;
  /**
   * A matrix as its quantised numbers, rows in the model's order; undefined where its type has no such form.
   * @throws ModalscopeError as `read`
   */
  readQuantised(name: string): QuantisedMatrix | undefined;
  /** Closes its files; `read` then throws. */
  close(): void;
}
