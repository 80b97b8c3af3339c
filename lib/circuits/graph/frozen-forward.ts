/** The model's own forward pass with attention patterns, norm scales and MLP outputs held, but for what sources write. */
import { type Edits, edit, type Model } from "../../model/index.js";
import type { FrozenRun } from "../../model/methods/index.js";
import type { Tensor } from "../../tensor.js";
import type { TranscoderSet } from "../transcoders/types.js";
import type { SourcePoint } from "./sources.js";

/**
 * A source is raised by this many times itself, and the change divided by it: the map is linear, and the difference of two
 * logits of 40 is known to some 10⁻⁵ only.
 */
const GAIN = 32;

/** Effects of one unit of each source. */
export interface FrozenChanges {
  /** By source: (time · width) of a captured hook. */
  readonly changes: (hook: string) => Float64Array[];
  /** By source: (vocab_size), each logit less their mean, at the last token. */
  readonly logits: Float64Array[];
}

export class FrozenForward {
  private readonly held: Edits;
  private readonly mlps: readonly string[];
  private readonly stream: Tensor;
  private readonly run: FrozenRun;
  private readonly points: readonly SourcePoint[];

  constructor(
    private readonly model: Model,
    private readonly set: TranscoderSet,
    { run, points }: { run: FrozenRun; points: readonly SourcePoint[] },
  ) {
    this.run = run;
    this.points = points;
    const values = [...run.held.values].filter(([name]) => /hook_pattern$|hook_scale$/.test(name));
    this.held = Object.fromEntries(values.map(([name, value]) => [name, edit.fill(withoutBatch(value))]));
    this.mlps = model.layers.map((l) => `blocks.${l}.${set.hookOut}`);
    this.stream = run.held.values.get("blocks.0.hook_resid_pre")!;
  }

  /** Raises each source in a row of its own, beside a row without any. */
  async raised(sources: readonly number[], capture: readonly string[]): Promise<FrozenChanges> {
    const rows = sources.length + 1;
    const time = this.stream.shape[1];
    const { written, residual } = this.writtenBy(sources);
    const edits: Record<string, Edits[string]> = { ...this.held };
    for (const [hook, value] of written) edits[hook] = edit.fill(value);
    const batch = this.model.batch(Array.from({ length: rows }, () => new Array(time).fill(0)));
    const options = { startAtLayer: 0, residual, edits, capture, logits: "last" } as const;
    const { cache, logits } = await this.model.run(batch, options);
    const differences = (x: Tensor): Float64Array[] => {
      const size = x.data.length / rows;
      return sources.map((_, n) => {
        const own = new Float64Array(size);
        for (let i = 0; i < size; i++) own[i] = (x.data[(n + 1) * size + i] - x.data[i]) / GAIN;
        return own;
      });
    };
    const centred = differences(logits!).map((row) => {
      const mean = row.reduce((a, b) => a + b, 0) / row.length;
      return row.map((v) => v - mean);
    });
    return { changes: (hook) => differences(cache.get(hook)), logits: centred };
  }

  /** MLP outputs and the stream's start, by row, with each row's source added. */
  private writtenBy(sources: readonly number[]): { written: Map<string, Tensor>; residual: Tensor } {
    const rows = sources.length + 1;
    const [, time, width] = this.stream.shape;
    const written = new Map(this.mlps.map((hook) => [hook, repeated(this.run.cache.get(hook), rows)]));
    const residual = repeated(this.stream, rows);
    for (const { hook, vectors, nodes } of this.points) {
      const count = vectors.shape[1];
      // What DeepStack adds after a block is no part of this run: it enters with that block's MLP output.
      const mlp = written.get(hook.replace("hook_deepstack", this.set.hookOut));
      const into = mlp ?? residual;
      nodes.forEach((node, i) => {
        const row = sources.indexOf(node) + 1;
        if (row === 0) return;
        const to = (row * time + Math.floor(i / count)) * width;
        for (let j = 0; j < width; j++) into.data[to + j] += GAIN * vectors.data[i * width + j];
      });
    }
    return { written, residual };
  }
}

function repeated({ data, shape }: Tensor, rows: number): Tensor {
  const out = new Float32Array(rows * data.length);
  for (let row = 0; row < rows; row++) out.set(data, row * data.length);
  return { data: out, shape: [rows, ...shape.slice(1)] };
}

const withoutBatch = ({ data, shape }: Tensor): Tensor => ({ data, shape: shape.slice(1) });
