/** Cost of a study on a model, estimated before it starts from the weights and from one block that is timed. */
import { ModalscopeError } from "../../errors.js";
import {
  abortSignal,
  checkOptions,
  integer,
  list,
  type OptionChecks,
  required,
  some,
} from "../../options.js";
import { seeded } from "../../random.js";
import type { Batch } from "../batch/index.js";
import { pieceBytes, pieceOperations } from "../engine/index.js";
import { HEAD, type PieceId, visionBlock, visionPieces } from "../families/index.js";
import type { Model } from "../model.js";

/** Work on one batch. */
export interface PlannedWork {
  readonly name: string;
  /** Runs of the batch through the whole model, its images through the tower. */
  readonly runs?: number;
  /**
   * Points of a sweep: one whose edits begin at block l takes the blocks from l on. `layers` are the blocks at which
   * they begin, one for each point.
   */
  readonly layers?: readonly number[];
  /** Tokens that are generated after each of the runs. */
  readonly newTokens?: number;
}

export interface CostOptions {
  /** A batch of the study, which stands for all. */
  readonly batch: Batch;
  /** Work on each batch. */
  readonly work: readonly PlannedWork[];
  /** Batches of the study (default 1). */
  readonly batches?: number;
  readonly signal?: AbortSignal;
}

const COST_OPTIONS: OptionChecks<CostOptions> = {
  batch: required((value) => (typeof value === "object" ? undefined : "a batch"), "a batch"),
  work: required(some(list), 'a list of work, such as [{ name: "clean", runs: 1 }]'),
  batches: integer(1),
  signal: abortSignal,
};

export interface WorkCost {
  readonly name: string;
  /** Floating-point operations, two for each multiply–add. */
  readonly operations: number;
  /** Bytes of weights that are read at most; 0 where the model stays in memory. Few experts may be kept between runs. */
  readonly bytesRead: number;
  /**
   * At the speed of the block that was timed, its weights' reading included: too much for a sweep whose points share one
   * reading, where prompts are short.
   */
  readonly seconds: number;
}

export interface Cost {
  readonly work: readonly WorkCost[];
  readonly operations: number;
  readonly bytesRead: number;
  readonly seconds: number;
  /** Anonymous memory in bytes that the model keeps to, captures included. */
  readonly memory: number;
  /** Floating-point operations in a second, as timed. */
  readonly speed: number;
}

/**
 * Time, bytes read and memory of a study's work on all of its batches, before it starts. One block of the language
 * model is timed on a text as long as the batch: on large models that takes some seconds.
 * @throws ModalscopeError for work at blocks that the model has not
 * @example
 * const work = [{ name: "clean", runs: 1 }, { name: "truncation", layers: model.layers }];
 * const { seconds, bytesRead } = await estimateCost(model, { batch, work, batches: 25 });
 */
export async function estimateCost(model: Model, options: CostOptions): Promise<Cost> {
  checkOptions("estimateCost", options, COST_OPTIONS);
  const { batch, work, batches = 1, signal } = options;
  for (const { name, layers = [] } of work) {
    const bad = layers.find((l) => !model.layers.includes(l));
    if (bad !== undefined)
      throw new ModalscopeError(`"${name}" begins at block ${bad}.`, `The model has ${model.layers.length}.`);
  }
  const parts = new Parts(model, batch);
  const speed = parts.blocks[0].operations / (await secondsOfBlock(model, batch, signal));
  const costs = work.map(({ name, runs = 0, layers = [], newTokens = 0 }): WorkCost => {
    const whole = runs + (layers.length > 0 ? 1 : 0);
    const sweep = parts.sweep(layers);
    const steps = runs * newTokens;
    const operations = 2 * (whole * parts.run.operations + sweep.operations + steps * parts.step.operations);
    const bytes = whole * parts.run.bytes + sweep.bytes + steps * parts.step.bytes;
    return {
      name,
      operations: batches * operations,
      bytesRead: model.resident ? 0 : batches * bytes,
      seconds: (batches * operations) / (2 * speed),
    };
  });
  const total = (of: (cost: WorkCost) => number): number => costs.reduce((sum, cost) => sum + of(cost), 0);
  return {
    work: costs,
    operations: total((cost) => cost.operations),
    bytesRead: total((cost) => cost.bytesRead),
    seconds: total((cost) => cost.seconds),
    memory: model.engine.memory,
    speed: 2 * speed,
  };
}

/** Multiply–adds, and bytes of weights read. */
interface Amount {
  readonly operations: number;
  readonly bytes: number;
}

const sum = (amounts: readonly Amount[]): Amount => ({
  operations: amounts.reduce((all, { operations }) => all + operations, 0),
  bytes: amounts.reduce((all, { bytes }) => all + bytes, 0),
});

/** Rows of a sweep that go through the blocks together, by tokens: what `sweep` takes unless memory is short. */
const SWEEP_TOKENS = 2 ** 14;

/** Amounts of the pieces for one batch. */
class Parts {
  readonly blocks: readonly Amount[];
  /** Of the batch through the whole model. */
  readonly run: Amount;
  /** Of one more token for each row. */
  readonly step: Amount;

  constructor(
    private readonly model: Model,
    private readonly batch: Batch,
  ) {
    const { layers } = model;
    const lengths = batch.tokenPositions.map((columns) => columns.length);
    const pairs = lengths.reduce((all, n) => all + (n * (n + 1)) / 2, 0);
    const tokens = lengths.reduce((all, n) => all + n, 0);
    this.blocks = layers.map((l) => this.amount(l, tokens, pairs));
    const head = this.amount(HEAD, batch.size, 0);
    this.run = sum([...this.tower(), ...this.blocks, head]);
    this.step = sum([...layers.map((l) => this.amount(l, batch.size, tokens)), head]);
  }

  /** Of points that begin at these blocks. */
  sweep(layers: readonly number[]): Amount {
    const { size, seqLength } = this.batch;
    const together = Math.max(1, Math.floor(SWEEP_TOKENS / (size * seqLength)));
    const ordered = [...layers].sort((a, b) => a - b);
    const amounts = ordered.map((l) => sum(this.blocks.slice(l)));
    const groups = ordered.filter((_, i) => i % together === 0);
    return {
      operations: sum(amounts).operations,
      bytes: groups.reduce((all, l) => all + sum(this.blocks.slice(l)).bytes, 0),
    };
  }

  private tower(): Amount[] {
    const { vision_config: vision } = this.model.config;
    const images = (this.batch.images ?? []).map(({ image }) => image);
    if (!vision || images.length === 0) return [];
    const rows = images.flatMap(({ grid, tiles }) => tiles.map(() => grid[1] * grid[2]));
    const patches = rows.reduce((all, n) => all + n, 0);
    const pairs = rows.reduce((all, n) => all + n * n, 0);
    return visionPieces(vision).map((id) => {
      const inTower = id === "vision.embed" || visionBlock(id) !== undefined;
      return this.amount(id, inTower ? patches : patches / vision.spatialMergeSize ** 2, pairs);
    });
  }

  private amount(id: PieceId, tokens: number, pairs: number): Amount {
    const { engine, config } = this.model;
    const { perToken, perPair } = pieceOperations(engine, id);
    const { dense, expert, experts } = pieceBytes(engine, id);
    const topK = typeof id === "number" && experts > 0 ? engine.family.experts!(config, id)!.topK : 0;
    // Of experts that are chosen evenly, the share that some token chooses.
    const chosen = experts === 0 ? 0 : experts * (1 - (1 - topK / experts) ** tokens);
    return { operations: tokens * perToken + pairs * perPair, bytes: dense + chosen * expert };
  }
}

/** Seconds that the first block takes for random tokens, as many as the batch has. */
async function secondsOfBlock(model: Model, batch: Batch, signal?: AbortSignal): Promise<number> {
  const random = seeded(0);
  const image = model.config.vision_config?.image_token_id;
  const token = (): number => {
    const id = random.int(model.config.vocab_size);
    return id === image ? token() : id;
  };
  const text = model.batch(batch.tokenPositions.map((columns) => columns.map(token)));
  const run = async (): Promise<number> => {
    const from = performance.now();
    await model.run(text, { stopAtLayer: 1, logits: "none", signal });
    return (performance.now() - from) / 1000;
  };
  const first = await run();
  // A block that stays in memory is opened once for all runs.
  return model.resident ? run() : first;
}
