/** The study's runs: what `claimsMatrix` asks for, measured once and kept for the figures. */
import type { Model } from "../../model/index.js";
import type { TaskOptions } from "../../progress.js";
import type { Checkpoint, Measured, Study } from "../index.js";
import { withRandomTwin } from "../random-twin.js";
import { type DecomposeOptions, type Decomposition, decompose } from "./decompose.js";
import { pidEvidence } from "./evidence.js";
import { madeByHand, sameSpectrumOf } from "./made-by-hand.js";
import { type MeasureOptions, measureOtherImages, measureTasks, taskGate } from "./measure.js";
import type { Measurements } from "./measurements.js";
import type { Questions } from "./questions.js";

export interface PidFlowOptions extends TaskOptions {
  readonly study: Study;
  readonly model: Model;
  /** The other variant. */
  readonly variant?: Model;
  /** The model trained from other seeds. */
  readonly twins?: readonly Model[];
  readonly questions: (seed: number) => Questions;
  readonly measure?: MeasureOptions;
  readonly decompose?: DecomposeOptions;
}

/** Measures checkpoints of the study; what was found of the model with its first seed stays. */
export class PidFlow {
  readonly found: Map<string, Decomposition> = new Map();
  private first?: { readonly questions: Questions; readonly measured: Measurements };

  constructor(private readonly options: PidFlowOptions) {}

  /** Evidence on one checkpoint with one data seed. */
  async measure({ id, role }: Checkpoint, seed: number): Promise<Measured> {
    const { study, model, questions, measure } = this.options;
    const planted = role === "planted" || id === "exclusiveOr";
    const measured = planted ? madeByHand(id, seed) : await this.measured(id, seed);
    const flow = planted || id === "sameSpectrum" ? ({ flow: "none" } as const) : {};
    const found = await decompose(measured, { ...this.options.decompose, ...flow, seed });
    if (!this.found.has(id)) this.found.set(id, found);
    const evidence = pidEvidence(study, found);
    if (id !== "model") return { evidence };
    return { evidence, gate: await taskGate(model, questions(seed), measured, measure) };
  }

  /** The model's measurements with the first seed. @throws before the model was measured */
  get clean(): { readonly questions: Questions; readonly measured: Measurements } {
    if (!this.first) throw new Error("The model was not measured yet.");
    return this.first;
  }

  private async measured(id: string, seed: number): Promise<Measurements> {
    const { model, questions, measure = {} } = this.options;
    if (id === "model") return this.ofModel(seed);
    if (id === "sameSpectrum") {
      const { tasks, depths } = this.found.get("model")!;
      return sameSpectrumOf(tasks, depths, seed);
    }
    const own = this.clean;
    if (id === "otherImage") return measureOtherImages(model, own.questions, own.measured, measure);
    // Random weights have a variant too: the same architecture drawn once more.
    const [first, second] = [seed, seed + 1].map(
      (drawn, i) => () =>
        withRandomTwin(model, drawn, (twin) =>
          measureTasks(twin, questions(seed), { ...measure, keep: undefined, knockouts: i === 0 }),
        ),
    );
    return { ...(await first()), variant: (await second()).tasks };
  }

  private async ofModel(seed: number): Promise<Measurements> {
    const { model, variant, twins = [], questions, measure = {} } = this.options;
    const asked = questions(seed);
    const clean = { ...measure, knockouts: false };
    const measured = await measureTasks(model, asked, measure);
    this.first ??= { questions: asked, measured };
    const others = [];
    for (const twin of twins) others.push((await measureTasks(twin, asked, clean)).tasks);
    return {
      ...measured,
      ...(variant && { variant: (await measureTasks(variant, asked, clean)).tasks }),
      twins: others,
    };
  }
}
