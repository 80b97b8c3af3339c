import { checkOptions, integer, number, type OptionChecks, record, texts } from "../../options.js";
import { createSession, type Session, type Value } from "../../runtime/index.js";
import type { Tensor } from "../../tensor.js";
import type { ModelSpec } from "../engine/index.js";
import { type Family, familyOf, type TextConfig } from "../families/index.js";
import { derivativeBy, emitOnnx } from "../graph/index.js";
import { globExpression } from "../hooks/index.js";
import { batchFeeds, type TrainingBatch } from "./feeds.js";
import { trainingGraph } from "./graph.js";
import type { LabelLoss } from "./labels.js";

/** Weights by checkpoint name; training changes them in place. */
export type Weights = Map<string, Tensor>;

/** Loss and gradients of one batch. */
export interface WeightGradients {
  /** The value that was differentiated: weighted mean cross-entropy, nats, with the balance of the experts where it counts. */
  readonly loss: number;
  /** The experts' load-balancing loss, before its coefficient; the number of experts per token where all are used alike. */
  readonly routerAuxLoss?: number;
  /** Of the weights that are learnt. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

export interface TrainerOptions {
  readonly threads?: number;
  /**
   * Weight of the experts' load-balancing loss (default 0). transformers adds it with `router_aux_loss_coef`
   * of config.json where `output_router_logits` is set.
   */
  readonly routerAuxLossCoef?: number;
  /**
   * Weights that stay as they are, by patterns of their checkpoint names: `*` stands for any letters but dots, `**`
   * for any letters. `["model.**", "lm_head.**", "vision_tower.**"]` trains a projector only.
   */
  readonly frozen?: readonly string[];
  /** A multi-label loss at visual tokens, for batches with `labels`; `initialLabelWeights` are then among the weights. */
  readonly labels?: LabelLoss;
}

const TRAINER_OPTIONS: OptionChecks<TrainerOptions> = {
  threads: integer(1),
  routerAuxLossCoef: number(0),
  frozen: texts,
  labels: record,
};

/** A model whose weights are inputs of its graph. */
export class Trainer {
  private constructor(
    private readonly model: ModelSpec,
    private readonly session: Session,
    private readonly trainable: readonly string[],
    private readonly labels?: LabelLoss,
  ) {}

  get config(): TextConfig {
    return this.model.config;
  }

  /** @param raw a config.json */
  static async open(raw: Readonly<Record<string, unknown>>, options: TrainerOptions = {}): Promise<Trainer> {
    checkOptions("Trainer.open", options, TRAINER_OPTIONS);
    const { threads, routerAuxLossCoef = 0, frozen = [], labels } = options;
    const family: Family = familyOf(raw);
    const config = family.parse(raw);
    const still = frozen.map(globExpression);
    const isTrainable = (name: string): boolean => !still.some((pattern) => pattern.test(name));
    const { outputs, trainable } = trainingGraph(family, config, { routerAuxLossCoef, labels }, isTrainable);
    const model = emitOnnx(outputs, { float: "float32", bind: () => ({ kind: "input" }), training: true });
    const session = await createSession(model, { threads, arena: true });
    return new Trainer({ family, config, float: "float32" }, session, trainable, labels);
  }

  /** Mean cross-entropy of the batch and its derivative by every weight that is learnt. */
  async gradients(weights: Weights, data: TrainingBatch): Promise<WeightGradients> {
    const given = batchFeeds(this.model, data, this.labels);
    const feeds: Record<string, Value> = {};
    for (const name of this.session.inputNames) {
      const w = weights.get(name);
      feeds[name] = w ? { type: "float32", dims: w.shape, data: w.data } : given[name];
    }
    const results = await this.session.run(feeds, this.session.outputNames);
    const number = (name: string): number => (results[name].data as Float32Array)[0];
    return {
      loss: number("loss"),
      ...(results.balance && { routerAuxLoss: number("balance") }),
      weights: new Map(
        this.trainable.map((name) => [name, results[derivativeBy(name)].data as Float32Array]),
      ),
    };
  }

  close(): Promise<void> {
    return this.session.release();
  }
}
