import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";
import type { TextConfig } from "../families/index.js";
import { ropeFrequencies, rotations } from "../nn/index.js";
import type { Batch } from "./batch.js";
import { sliceBatch, sliceTime } from "./slices.js";

/** Rotated keys and values of one layer, (batch, key-value heads, keys, head_dim) each. */
export interface KeyValues {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** One pass over the blocks: some columns of a batch, on top of those already read. */
export interface Pass {
  readonly size: number;
  /** Columns read in this pass. */
  readonly seqLength: number;
  /** Absolute column of the first of them; the keys of all earlier columns are in `past`. */
  readonly start: number;
  /** (batch, time): rotary position ids; three for MRoPE, with temporal, height and width angles apart. */
  readonly positionIds: readonly Int32Array[];
  /** (batch, start + time): 1 where a key is a token. */
  readonly keyMask: Uint8Array;
  /** For each row, the absolute columns of this pass that hold tokens. */
  readonly tokenPositions: readonly (readonly number[])[];
  /** For each row, the absolute column of its prompt's last token. */
  readonly last: readonly number[];
  readonly phase: "prompt" | "decoding";
  /** By layer; empty where `start` is 0. */
  readonly past: readonly (KeyValues | undefined)[];
  /** The pass that this one reads a part of, when its queries or rows are taken in parts. */
  readonly parent?: Pass;
  /** Row of `whole` that its first one is (default 0). */
  readonly rowOffset?: number;
  /** Keys that its queries attend to, where these need not lie before them: in the vision tower. */
  readonly keys?: number;
  /** Visual features added to the stream after a block (DeepStack), (batch, time, hidden_size). */
  readonly injections?: ReadonlyMap<number, Tensor>;
  /** (batch, start + time): which image a column belongs to, counted from 1; given where an image's tokens attend to each other in both directions. */
  readonly bidirectionalSpans?: Int32Array;
}

/** Number of keys for the queries of a pass. */
export function keyCount({
  start,
  seqLength: time,
  keys,
}: Pick<Pass, "start" | "seqLength" | "keys">): number {
  return keys ?? start + time;
}

/** The pass that reads a whole batch. */
export function promptPass(batch: Batch): Pass {
  return {
    size: batch.size,
    seqLength: batch.seqLength,
    start: 0,
    positionIds: byAxis(batch),
    keyMask: batch.attentionMask,
    tokenPositions: batch.tokenPositions,
    last: batch.last,
    phase: "prompt",
    past: [],
  };
}

/** Positions along one axis, or along each of three. */
function byAxis({ positionIds, size, seqLength: time }: Batch): Int32Array[] {
  const cells = size * time;
  return Array.from({ length: positionIds.length / cells }, (_, a) =>
    positionIds.subarray(a * cells, (a + 1) * cells),
  );
}

/** Columns `from` … `to`−1 of a pass, as a pass of their own; `past` holds what comes before them. */
export function subPass(pass: Pass, from: number, to: number, past: Pass["past"]): Pass {
  const { size, start } = pass;
  const inside = (c: number): boolean => c >= start + from && c < start + to;
  return {
    ...pass,
    seqLength: to - from,
    start: start + from,
    positionIds: pass.positionIds.map((axis) => cutRows(axis, size, from, to)),
    keyMask: cutRows(pass.keyMask, size, 0, start + to),
    tokenPositions: pass.tokenPositions.map((row) => row.filter(inside)),
    bidirectionalSpans: pass.bidirectionalSpans && cutRows(pass.bidirectionalSpans, size, 0, start + to),
    injections: pass.injections && new Map([...pass.injections].map(([l, x]) => [l, sliceTime(x, from, to)])),
    past,
  };
}

/** Rows `from` … `to`−1 of a pass, as a part of it. */
export function rowsPass(pass: Pass, from: number, to: number): Pass {
  const { size } = pass;
  const cut = <D extends Int32Array | Uint8Array>(data: D): D =>
    data.subarray((data.length / size) * from, (data.length / size) * to) as D;
  const cutRows = (x: Tensor): Tensor => sliceBatch(x, from, to);
  return {
    ...pass,
    size: to - from,
    positionIds: pass.positionIds.map(cut),
    keyMask: cut(pass.keyMask),
    bidirectionalSpans: pass.bidirectionalSpans && cut(pass.bidirectionalSpans),
    tokenPositions: pass.tokenPositions.slice(from, to),
    last: pass.last.slice(from, to),
    past: pass.past.map((kv) => kv && { key: cutRows(kv.key), value: cutRows(kv.value) }),
    injections: pass.injections && new Map([...pass.injections].map(([l, x]) => [l, cutRows(x)])),
    parent: pass.parent ?? pass,
    rowOffset: (pass.rowOffset ?? 0) + from,
  };
}

/** Some rows of a pass that decodes, as a pass of their own; the keys of earlier columns are kept apart (`KeyCache`). */
export function keepRows(pass: Pass, rows: readonly number[]): Pass {
  const { size } = pass;
  const keep = <D extends Int32Array | Uint8Array>(data: D): D => {
    const length = data.length / size;
    const kept = zerosLike(data, rows.length * length);
    rows.forEach((row, at) => {
      kept.set(data.subarray(row * length, (row + 1) * length), at * length);
    });
    return kept;
  };
  return {
    ...pass,
    size: rows.length,
    positionIds: pass.positionIds.map(keep),
    keyMask: keep(pass.keyMask),
    tokenPositions: rows.map((row) => pass.tokenPositions[row]),
    last: rows.map((row) => pass.last[row]),
  };
}

/** Elements `from` … `to`−1 of each of `rows` rows. */
function cutRows<D extends Int32Array | Uint8Array>(data: D, rows: number, from: number, to: number): D {
  const length = data.length / rows;
  const cut = zerosLike(data, rows * (to - from));
  for (let b = 0; b < rows; b++) cut.set(data.subarray(b * length + from, b * length + to), b * (to - from));
  return cut;
}

/** Added to a score that must not count. Finite, so that a row of them alone is still a number. */
export const MASKED_SCORE = -3e38;

/** The inputs of a pass that blocks share, computed once for each kind of layer. */
export class AttentionInputs {
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
    const { cos, sin } = rotations(pass.positionIds, frequencies, config.rope_parameters[type].mrope_section);
    const shape = [pass.size, pass.seqLength, config.head_dim];
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
    const { size, seqLength: time, start, keyMask, bidirectionalSpans: spans } = this.pass;
    const keys = start + time;
    const data = this.floats(size * time * keys).fill(MASKED_SCORE);
    const ordinal = new Int32Array(keys);
    for (let b = 0; b < size; b++) {
      // The window counts tokens, not columns: padding may lie between a prompt and what follows it.
      for (let k = 0, tokens = 0; k < keys; k++) ordinal[k] = keyMask[b * keys + k] ? tokens++ : tokens;
      for (let q = 0; q < time; q++) {
        const row = (b * time + q) * keys;
        const oldest = window === null ? Number.NEGATIVE_INFINITY : ordinal[start + q] - window;
        const span = spans?.[b * keys + start + q] || undefined;
        for (let k = 0; k < keys; k++) {
          const seen = k <= start + q || (span !== undefined && spans![b * keys + k] === span);
          if (seen && keyMask[b * keys + k] && ordinal[k] > oldest) data[row + k] = 0;
        }
      }
    }
    return { data, shape: [size, 1, time, keys] };
  }
}

/** A mask by head, in which some queries of some heads no longer attend to some keys. */
export function maskKeys(
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
      if (head === "all" || head === h) data[((row * wide + h) * time + query) * keys + key] = MASKED_SCORE;
    }
  }
  return { data, shape: [size, wide, time, keys] };
}

/**
 * Fills the columns of a tensor (batch, …, time, …) that are padding.
 * @param time the axis that counts columns
 */
export function fillPadding(
  data: Float32Array,
  shape: readonly number[],
  time: number,
  { tokenPositions, start }: Pick<Pass, "tokenPositions" | "start">,
  value: number,
): void {
  const inner = sizeOf(shape.slice(time + 1));
  const outer = sizeOf(shape.slice(1, time));
  const length = shape[time];
  tokenPositions.forEach((row, b) => {
    if (row.length === length) return;
    const tokens = new Set(row);
    for (let o = 0; o < outer; o++) {
      for (let t = 0; t < length; t++) {
        const from = ((b * outer + o) * length + t) * inner;
        if (!tokens.has(start + t)) data.fill(value, from, from + inner);
      }
    }
  });
}
