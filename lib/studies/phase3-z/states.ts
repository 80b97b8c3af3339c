/** The residual streams of all prompts, read once: pooled at every layer, whole where they are patched or compared. */
import { asMatrix, type Matrix, takeRows } from "../../analysis/index.js";
import type { Model } from "../../model/index.js";
import type { TaskOptions } from "../../progress.js";
import type { Language } from "../../tasks/index.js";
import { residPre, type Streams } from "./subject.js";

/** Streams before each block of prompts in one language. */
export interface PooledStates {
  /** Mean over the tokens, by layer `(prompts, d)`. */
  readonly means: readonly Matrix[];
  /** The last token, by layer `(prompts, d)`. */
  readonly last: readonly Matrix[];
  /** All tokens of some layers, prompt by prompt. */
  readonly tokens: Streams;
}

export type States = Readonly<Record<Language, PooledStates>>;

export interface ReadOptions extends TaskOptions {
  /** Layers whose tokens are kept, and of how many prompts from the first on. */
  readonly keep: ReadonlyMap<number, number>;
  /** Prompts that run together. Default 160. */
  readonly rowsPerCall?: number;
}

/** Reads the prompts in both languages. */
export async function readStates(
  model: Model,
  ids: Readonly<Record<Language, readonly (readonly number[])[]>>,
  options: ReadOptions,
): Promise<States> {
  return { en: await readPrompts(model, ids.en, options), zh: await readPrompts(model, ids.zh, options) };
}

async function readPrompts(
  model: Model,
  prompts: readonly (readonly number[])[],
  { keep, rowsPerCall = 160, signal }: ReadOptions,
): Promise<PooledStates> {
  const width = model.config.hidden_size;
  const empty = (): Matrix => ({
    data: new Float64Array(prompts.length * width),
    shape: [prompts.length, width],
  });
  const means = model.layers.map(empty);
  const last = model.layers.map(empty);
  const tokens = new Map([...keep.keys()].map((layer) => [layer, [] as Matrix[]]));
  for (let start = 0; start < prompts.length; start += rowsPerCall) {
    const batch = model.batch(prompts.slice(start, start + rowsPerCall));
    const { cache } = await model.run(batch, {
      capture: model.layers.map(residPre),
      logits: "none",
      signal,
    });
    for (const layer of model.layers) {
      const { data, shape } = cache.get(residPre(layer));
      batch.tokenPositions.forEach((columns, b) => {
        const from = (b * shape[1] + columns[0]) * width;
        const own = data.subarray(from, from + columns.length * width);
        const at = (start + b) * width;
        own.forEach((value, i) => {
          means[layer].data[at + (i % width)] += value / columns.length;
        });
        last[layer].data.set(own.subarray(-width), at);
        if (start + b < (keep.get(layer) ?? 0))
          tokens.get(layer)?.push(asMatrix({ data: own, shape: [columns.length, width] }));
      });
    }
  }
  return { means, last, tokens };
}

/** The states with Chinese prompt `order[i]` in the place of the i-th. */
export function withChinese(states: States, order: readonly number[]): States {
  const { means, last, tokens } = states.zh;
  return {
    en: states.en,
    zh: {
      means: means.map((all) => takeRows(all, order)),
      last: last.map((all) => takeRows(all, order)),
      tokens: new Map(
        [...tokens].map(([layer, own]) => [layer, order.map((i) => own[i]).slice(0, own.length)]),
      ),
    },
  };
}
