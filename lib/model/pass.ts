import { type Tensor, zerosLike } from "../tensor.js";
import type { Batch } from "./batch.js";
import type { TextConfig } from "./families/index.js";
import { ropeFrequencies, rotations } from "./rope.js";

/** Rotated keys and values of one layer, (batch, key-value heads, keys, head_dim) each. */
export interface KeyValues {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** What one pass over the blocks reads: some columns of a batch, on top of those already read. */
export interface Pass {
  readonly size: number;
  /** Columns read in this pass. */
  readonly time: number;
  /** Absolute column of the first of them; the keys of all earlier columns are in `past`. */
  readonly start: number;
  /** (batch, time): rotary positions. */
  readonly positions: Int32Array;
  /** (batch, start + time): 1 where a key is a token. */
  readonly keyMask: Uint8Array;
  /** For each row, the absolute columns of this pass that hold tokens. */
  readonly columns: readonly (readonly number[])[];
  /** For each row, the absolute column of its prompt's last token. */
  readonly last: readonly number[];
  readonly phase: "prompt" | "decoding";
  /** By layer; empty where `start` is 0. */
  readonly past: readonly (KeyValues | undefined)[];
}

/** The pass that reads a whole batch. */
export function promptPass(batch: Batch): Pass {
  return {
    size: batch.size,
    time: batch.time,
    start: 0,
    positions: batch.positions,
    keyMask: batch.mask,
    columns: batch.columns,
    last: batch.last,
    phase: "prompt",
    past: [],
  };
}

/** Columns `from` … `to`−1 of a pass, as a pass of their own; `past` holds what comes before them. */
export function subPass(pass: Pass, from: number, to: number, past: Pass["past"]): Pass {
  const { size, time, start } = pass;
  const keys = start + time;
  const positions = new Int32Array(size * (to - from));
  const keyMask = new Uint8Array(size * (start + to));
  for (let b = 0; b < size; b++) {
    positions.set(pass.positions.subarray(b * time + from, b * time + to), b * (to - from));
    keyMask.set(pass.keyMask.subarray(b * keys, b * keys + start + to), b * (start + to));
  }
  const inside = (c: number): boolean => c >= start + from && c < start + to;
  const columns = pass.columns.map((row) => row.filter(inside));
  return { ...pass, time: to - from, start: start + from, positions, keyMask, columns, past };
}

/** Added to a score that must not count. Finite, so that a row of them alone is still a number. */
const HIDDEN = -3e38;

/** The inputs of a pass that blocks share, computed once for each kind of layer. */
export class SharedFeeds {
  private readonly masks = new Map<string, Tensor>();
  private readonly angles = new Map<string, { cos: Tensor; sin: Tensor }>();

  constructor(
    private readonly config: TextConfig,
    private readonly pass: Pass,
    private readonly floats: (n: number) => Float32Array,
  ) {}

  rotations(layer: number): { cos: Tensor; sin: Tensor } {
    const { config, pass } = this;
    const type = config.layer_types[layer];
    const known = this.angles.get(type);
    if (known) return known;
    const frequencies = ropeFrequencies(
      config.rope_parameters[type],
      config.head_dim,
      config.max_position_embeddings,
    );
    const { cos, sin } = rotations(pass.positions, frequencies);
    const shape = [pass.size, pass.time, config.head_dim];
    const cast = (data: Float64Array): Tensor => {
      const own = this.floats(data.length);
      own.set(data);
      return { data: own, shape };
    };
    const made = { cos: cast(cos), sin: cast(sin) };
    this.angles.set(type, made);
    return made;
  }

  /** (batch, 1, time, keys) */
  mask(layer: number): Tensor {
    const type = this.config.layer_types[layer];
    const known = this.masks.get(type);
    if (known) return known;
    const window = type === "sliding_attention" ? this.config.sliding_window : null;
    const made = this.causalMask(window);
    this.masks.set(type, made);
    return made;
  }

  private causalMask(window: number | null): Tensor {
    const { size, time, start, keyMask } = this.pass;
    const keys = start + time;
    const data = this.floats(size * time * keys).fill(HIDDEN);
    const ordinal = new Int32Array(keys);
    for (let b = 0; b < size; b++) {
      // The window counts tokens, not columns: padding may lie between a prompt and what follows it.
      for (let k = 0, tokens = 0; k < keys; k++) ordinal[k] = keyMask[b * keys + k] ? tokens++ : tokens;
      for (let q = 0; q < time; q++) {
        const row = (b * time + q) * keys;
        const oldest = window === null ? Number.NEGATIVE_INFINITY : ordinal[start + q] - window;
        for (let k = 0; k <= start + q; k++) {
          if (keyMask[b * keys + k] && ordinal[k] > oldest) data[row + k] = 0;
        }
      }
    }
    return { data, shape: [size, 1, time, keys] };
  }
}

/** A mask with its heads apart, in which some queries of some heads no longer see some keys. */
export function hideKeys(
  mask: Tensor,
  heads: number,
  hidden: Iterable<{ row: number; head: number | "all"; query: number; key: number }>,
): Tensor {
  const [size, own, time, keys] = mask.shape;
  const cells = [...hidden];
  const wide = own === 1 && cells.some((c) => c.head !== "all") ? heads : own;
  const data = zerosLike(mask.data, size * wide * time * keys);
  const plane = time * keys;
  for (let b = 0; b < size; b++) {
    for (let h = 0; h < wide; h++) {
      const from = (b * own + (own === 1 ? 0 : h)) * plane;
      data.set(mask.data.subarray(from, from + plane), (b * wide + h) * plane);
    }
  }
  for (const { row, head, query, key } of cells) {
    for (let h = 0; h < wide; h++) {
      if (head === "all" || head === h) data[((row * wide + h) * time + query) * keys + key] = HIDDEN;
    }
  }
  return { data, shape: [size, wide, time, keys] };
}
