/** The model's own forward pass with attention patterns, norm scales and MLP outputs held, but for what sources write. */
import { type Edits, edit, type Model } from "../../model/index.js";
import type { FrozenRun } from "../../model/methods/index.js";
import type { Tensor } from "../../tensor.js";
import { skipOutput } from "../transcoders/reconstruct.js";
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

/** What sources have been added to: MLP outputs by hook, and the stream before the first block. */
interface Written {
  readonly mlps: ReadonlyMap<string, Tensor>;
  readonly residual: Tensor;
}

/** Captured values and the last logits of a pass. */
interface Passed {
  readonly captured: (hook: string) => Tensor;
  readonly logits: Tensor;
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
    const written = this.writtenBy(sources);
    const { captured, logits } = this.set.layers.some(({ skip }) => skip)
      ? await this.passWithSkips(written, capture)
      : await this.pass(written, capture);
    const differences = (x: Tensor): Float64Array[] => {
      const size = x.data.length / rows;
      return sources.map((_, n) => {
        const own = new Float64Array(size);
        for (let i = 0; i < size; i++) own[i] = (x.data[(n + 1) * size + i] - x.data[i]) / GAIN;
        return own;
      });
    };
    const centred = differences(logits).map((row) => {
      const mean = row.reduce((a, b) => a + b, 0) / row.length;
      return row.map((v) => v - mean);
    });
    return { changes: (hook) => differences(captured(hook)), logits: centred };
  }

  private async pass({ mlps, residual }: Written, capture: readonly string[]): Promise<Passed> {
    const edits = { ...this.held, ...filled(mlps) };
    const options = { startAtLayer: 0, residual, edits, capture, logits: "last" } as const;
    const { cache, logits } = await this.model.run(this.batchOf(residual), options);
    return { captured: (hook) => cache.get(hook), logits: logits! };
  }

  /** Block by block: once to see what a skip connection reads, and again with what it then adds to the MLP's output. */
  private async passWithSkips({ mlps, residual }: Written, capture: readonly string[]): Promise<Passed> {
    const batch = this.batchOf(residual);
    const found = new Map<string, Tensor>();
    let stream = residual;
    for (const { layer, hookIn, skip } of this.set.layers) {
      const hookOut = `blocks.${layer}.${this.set.hookOut}`;
      const block = { startAtLayer: layer, residual: stream } as const;
      const only = { ...block, stopAtLayer: layer + 1, logits: "none" } as const;
      const held = this.heldIn(`blocks.${layer}.`);
      let out = mlps.get(hookOut)!;
      if (skip) {
        const { cache } = await this.model.run(batch, { ...only, edits: held, capture: [hookIn] });
        out = withSkip(out, skip, cache.get(hookIn), this.run.cache.get(hookIn));
      }
      const edits = { ...held, [hookOut]: edit.fill(out) };
      const own = capture.filter((name) => name.startsWith(`blocks.${layer}.`));
      const keep = (cache: { get(name: string): Tensor }): void => {
        for (const name of own) found.set(name, cache.get(name));
      };
      if (layer === this.set.layers.length - 1) {
        const head = { edits: { ...edits, ...this.heldIn("ln_final.") }, logits: "last" } as const;
        const { cache, logits } = await this.model.run(batch, { ...block, ...head, capture: own });
        keep(cache);
        return { captured: (hook) => found.get(hook)!, logits: logits! };
      }
      const { cache, residual: after } = await this.model.run(batch, { ...only, edits, capture: own });
      keep(cache);
      stream = after!;
    }
    throw new TypeError("A set of transcoders has layers.");
  }

  private heldIn(start: string): Edits {
    return Object.fromEntries(Object.entries(this.held).filter(([name]) => name.startsWith(start)));
  }

  private batchOf({ shape: [rows, time] }: Tensor): ReturnType<Model["batch"]> {
    return this.model.batch(Array.from({ length: rows }, () => new Array(time).fill(0)));
  }

  /** MLP outputs and the stream's start, by row, with each row's source added. */
  private writtenBy(sources: readonly number[]): Written {
    const rows = sources.length + 1;
    const [, time, width] = this.stream.shape;
    const mlps = new Map(this.mlps.map((hook) => [hook, repeated(this.run.cache.get(hook), rows)]));
    const residual = repeated(this.stream, rows);
    for (const { hook, vectors, nodes } of this.points) {
      const count = vectors.shape[1];
      // What DeepStack adds after a block is no part of this run: it enters with that block's MLP output.
      const mlp = mlps.get(hook.replace("hook_deepstack", this.set.hookOut));
      const into = mlp ?? residual;
      nodes.forEach((node, i) => {
        const row = sources.indexOf(node) + 1;
        if (row === 0) return;
        const to = (row * time + Math.floor(i / count)) * width;
        for (let j = 0; j < width; j++) into.data[to + j] += GAIN * vectors.data[i * width + j];
      });
    }
    return { mlps, residual };
  }
}

const filled = (values: ReadonlyMap<string, Tensor>): Edits =>
  Object.fromEntries([...values].map(([hook, value]) => [hook, edit.fill(value)]));

/** Outputs of a layer by row, with what its skip connection makes of the change of its input. */
function withSkip(out: Tensor, skip: Tensor, input: Tensor, before: Tensor): Tensor {
  const [rows, time, width] = input.shape;
  const size = before.data.length;
  const change = { data: input.data.map((v, i) => v - before.data[i % size]), shape: [rows * time, width] };
  const added = skipOutput(skip, change).data;
  return { data: out.data.map((v, i) => v + added[i]), shape: out.shape };
}

function repeated({ data, shape }: Tensor, rows: number): Tensor {
  const out = new Float32Array(rows * data.length);
  for (let row = 0; row < rows; row++) out.set(data, row * data.length);
  return { data: out, shape: [rows, ...shape.slice(1)] };
}

const withoutBatch = ({ data, shape }: Tensor): Tensor => ({ data, shape: shape.slice(1) });
