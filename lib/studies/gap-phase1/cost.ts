/** The cost of a study, from a timed run of a few questions. */
import type { Model } from "../../model/index.js";
import { checkOptions, type OptionChecks, record, required } from "../../options.js";
import { COUNT, LAYERS, MODEL } from "../../study-options.js";
import { truncationBlocks } from "./depths.js";
import type { QuestionSource } from "./questions.js";
import type { GapSizes } from "./study.js";
import { ask, tasksOf } from "./subject.js";

export interface CostSettings {
  readonly model: Model;
  readonly questions: QuestionSource;
  readonly sizes: GapSizes;
  readonly rowsPerCall: number;
  readonly layers?: readonly number[];
}

export interface Cost {
  /** Questions that go through all blocks, for one data seed on the model, by part. */
  readonly forwards: Readonly<Record<string, number>>;
  /** One question through all blocks, in a call of `rowsPerCall`. */
  readonly secondsEach: number;
  readonly seconds: number;
  /** Bytes of weights that are read while it runs: all of them once for each call where blocks are streamed. */
  readonly bytesRead: number;
  /** Bytes of what is kept. */
  readonly disk: number;
}

const COST_SETTINGS: OptionChecks<CostSettings> = {
  model: MODEL,
  questions: required(record, "questions, as questionsFor gives them"),
  sizes: required(record, "sizes, as gapSizes gives them"),
  rowsPerCall: COUNT,
  layers: LAYERS,
};

/**
 * Estimates the cost of one data seed before it starts: a few questions are run, and what the parts take is counted in such
 * runs. A run that begins at a block counts for the blocks behind it.
 */
export async function gapCost(settings: CostSettings): Promise<Cost> {
  checkOptions("gapCost", settings, COST_SETTINGS);
  const { model, questions, sizes, rowsPerCall, layers } = settings;
  const blocks = model.layers.length;
  const some = await questions.draw({ seed: 0, purpose: "held out", count: Math.min(16, rowsPerCall) });
  const timed = async (count: number): Promise<number> => {
    const { batch } = await ask(model, tasksOf(some.slice(0, count)));
    // What stays in memory is opened once.
    if (model.resident) await model.run(batch, { logits: "last" });
    const begun = performance.now();
    await model.run(batch, { logits: "last" });
    return (performance.now() - begun) / 1000;
  };
  const [one, few] = [await timed(1), await timed(some.length)];
  // A call takes its time, whatever its size: where blocks are streamed, mostly that of reading them.
  const each = Math.max(0, few - one) / Math.max(1, some.length - 1);
  const call = Math.max(0, one - each);
  const behind = (some: readonly number[]): number => some.reduce((sum, l) => sum + (blocks - l) / blocks, 0);
  const points = layers ?? truncationBlocks(blocks);
  const late = points.filter((l) => l >= blocks / 2);
  const all = 2 * sizes.samples;
  const forwards = {
    tracing: sizes.tracing * (2 + behind(model.layers)),
    truncation: all * (2 + behind(points) + behind(late)),
    states: sizes.states * 4,
    probes: sizes.probes,
    silencing: all * 12 * 0.25,
    twins: all * (1 + behind(points)) * 0.5,
    pruning: all * 4,
  };
  const total = Object.values(forwards).reduce((sum, count) => sum + count, 0);
  const weights = [...model.checkpoint.weights.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const calls = Math.ceil(total / rowsPerCall);
  return {
    forwards,
    secondsEach: each + call / rowsPerCall,
    seconds: total * each + calls * call,
    bytesRead: weights * (model.resident ? 1 : calls),
    disk: all * (points.length + late.length + 40) * 4,
  };
}
