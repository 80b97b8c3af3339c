/** The study's runs: what `claimsMatrix` asks for, measured once and kept for the figures. */
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import {
  callback,
  checkOptions,
  listOf,
  type OptionChecks,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { MODEL, STUDY } from "../../study-options.js";
import type { Checkpoint, Gate, Measured, Study } from "../index.js";
import { withRandomTwin } from "../random-twin.js";
import { type DecomposeOptions, type Decomposition, decompose } from "./decompose.js";
import { pidEvidence } from "./evidence.js";
import { madeByHand, sameSpectrumOf } from "./made-by-hand.js";
import { type MeasureOptions, measureOtherImages, measureTasks, taskGate } from "./measure.js";
import type { Measurements, TaskMeasurement } from "./measurements.js";
import type { Questions } from "./questions.js";

export interface PidFlowOptions extends TaskOptions {
  readonly study: Study;
  readonly model: Model;
  /** The other variant. */
  readonly variant?: Model;
  /** The model trained from other seeds. */
  readonly twins?: readonly Model[];
  /** The other variant trained from other seeds. */
  readonly variantTwins?: readonly Model[];
  readonly questions: (seed: number) => Questions;
  readonly measure?: MeasureOptions;
  readonly decompose?: DecomposeOptions;
}

const PID_FLOW_OPTIONS: OptionChecks<PidFlowOptions> = {
  ...TASK_OPTIONS,
  study: STUDY,
  model: MODEL,
  variant: record,
  twins: listOf(record),
  variantTwins: listOf(record),
  questions: required(callback, "questions by seed, as questionSource gives them"),
  measure: record,
  decompose: record,
};

/** Measures checkpoints of the study; what was found of the model with its first seed stays. */
export class PidFlow {
  readonly found: Map<string, Decomposition> = new Map();
  private readonly gates: Gate[] = [];
  private readonly drawn = new Map<number, Questions>();
  private first?: { readonly questions: Questions; readonly measured: Measurements };

  constructor(private readonly options: PidFlowOptions) {
    checkOptions("PidFlow", options, PID_FLOW_OPTIONS);
  }

  /** Evidence on one checkpoint with one data seed. */
  async measure({ id, role }: Checkpoint, seed: number): Promise<Measured> {
    const { study, model, measure } = this.options;
    const planted = role === "planted" || id === "exclusiveOr";
    const all = planted ? madeByHand(id, seed) : await this.measured(id, seed);
    const passed = id === "model" ? await taskGate(model, this.questions(seed), all, measure) : undefined;
    const measured = passed ? withTasks(all, passed) : all;
    const flow = planted || id === "sameSpectrum" ? ({ flow: "none" } as const) : {};
    const found = await decompose(measured, { ...this.options.decompose, ...flow, seed });
    if (!this.found.has(id)) this.found.set(id, found);
    const evidence = pidEvidence(study, found);
    if (!passed) return { evidence };
    this.gates.push(passed);
    return { evidence, gate: passed };
  }

  /** The model's measurements with the first seed. @throws ModalscopeError before the model was measured */
  get clean(): { readonly questions: Questions; readonly measured: Measurements; readonly gate: Gate } {
    if (!this.first || this.gates.length === 0)
      throw new ModalscopeError("The model was not measured yet.", "", "Run claimsMatrix first.");
    return { ...this.first, gate: this.gates[0] };
  }

  /** The questions of a data seed, drawn once: gate, model and nulls are asked the same. */
  private questions(seed: number): Questions {
    const drawn = this.drawn.get(seed) ?? this.options.questions(seed);
    this.drawn.set(seed, drawn);
    return drawn;
  }

  private async measured(id: string, seed: number): Promise<Measurements> {
    const { model, measure = {} } = this.options;
    if (id === "model") return this.ofModel(seed);
    if (id === "sameSpectrum") {
      const { tasks, depths } = this.found.get("model")!;
      return sameSpectrumOf(tasks, depths, seed);
    }
    if (id === "otherImage") {
      const own = this.clean;
      return measureOtherImages(model, own.questions, own.measured, measure);
    }
    const asked = this.questions(seed);
    // Random weights have a variant too: the same architecture drawn once more.
    const [first, second] = [seed, seed + 1].map(
      (drawn, i) => () =>
        withRandomTwin(model, drawn, (twin) =>
          measureTasks(twin, asked, { ...measure, keep: undefined, knockouts: i === 0 }),
        ),
    );
    return { ...(await first()), variant: (await second()).tasks };
  }

  private async ofModel(seed: number): Promise<Measurements> {
    const { model, variant, twins = [], variantTwins = [], measure = {} } = this.options;
    const asked = this.questions(seed);
    const clean = { ...measure, knockouts: false };
    const measured = await measureTasks(model, asked, measure);
    this.first ??= { questions: asked, measured };
    const each = async (all: readonly Model[]) => {
      const out: (readonly TaskMeasurement[])[] = [];
      for (const one of all) out.push((await measureTasks(one, asked, clean)).tasks);
      return out;
    };
    return {
      ...measured,
      ...(variant && { variant: (await measureTasks(variant, asked, clean)).tasks }),
      twins: await each(twins),
      variantTwins: await each(variantTwins),
    };
  }
}

/** The tasks that the model does; all where it does none, whose verdicts the gate stops. */
function withTasks(
  { tasks, variant, twins, variantTwins, depths }: Measurements,
  { passed }: Gate,
): Measurements {
  const done = (all: readonly TaskMeasurement[]): TaskMeasurement[] =>
    passed.size === 0 ? [...all] : all.filter(({ task }) => passed.has(task));
  return {
    depths,
    tasks: done(tasks),
    ...(variant && { variant: done(variant) }),
    ...(twins && { twins: twins.map(done) }),
    ...(variantTwins && { variantTwins: variantTwins.map(done) }),
  };
}
