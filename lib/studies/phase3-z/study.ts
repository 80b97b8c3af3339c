/** The study's runs: what `claimsMatrix` asks for, measured once and kept for the figures. */
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import {
  callback,
  checkOptions,
  flag,
  integer,
  listOf,
  type OptionChecks,
  oneOf,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { Rows } from "../../plot/index.js";
import { seeded } from "../../random.js";
import { COUNT, MODEL, STUDY } from "../../study-options.js";
import { type MathsProblem, type PlantedMechanism, plantedMaths } from "../../tasks/index.js";
import type { Checkpoint, Study } from "../claims.js";
import type { Gate } from "../gate.js";
import type { ClaimEvidence } from "../judge.js";
import type { Measured } from "../matrix.js";
import { withCheckpoint, withRandomTwin } from "../random-twin.js";
import {
  type Asked,
  type AskPlan,
  askAll,
  mathsGate,
  patchesOf,
  type ReadPlan,
  readAll,
  shiftsOf,
  subjectAmong,
} from "./checkpoint.js";
import { evidenceFor, phase3Evidence } from "./evidence.js";
import { checkInstruments } from "./instruments.js";
import { phase3MadeByHand } from "./made-by-hand.js";
import type { Measurements, SeparationPart, WeightsPart } from "./parts.js";
import { type Problems, riddles } from "./problems.js";
import { phase3Document } from "./rules.js";
import { withChinese } from "./states.js";

export interface Phase3Settings extends Omit<AskPlan, "seed"> {
  readonly study: Study;
  readonly model: Model;
  readonly problems: Problems;
  /** Fit lengthscales as the document writes it too, and at all its layers, with the first seed. Default true. */
  readonly asWritten?: boolean;
  /** Measure the other layer, size and alignment too, with the first seed. Default true. */
  readonly otherConfigurations?: boolean;
}

/** What was found on one checkpoint with its first seed. */
export interface Phase3Found {
  readonly weights: WeightsPart;
  readonly measured: Measurements;
  readonly problems: readonly MathsProblem[];
  readonly gate?: Gate;
}

const SETTINGS: OptionChecks<Phase3Settings> = {
  ...TASK_OPTIONS,
  study: STUDY,
  model: MODEL,
  problems: required(callback, "problems by seed, as problemSource gives them"),
  asWritten: flag,
  otherConfigurations: flag,
  format: required(oneOf("bare", "labelled", "chat"), "a prompt format"),
  layers: listOf(integer(0)),
  k: integer(1),
  foldGain: flag,
  shiftCount: COUNT,
  ardCount: COUNT,
  maxNewTokens: COUNT,
  rowsPerCall: integer(1),
};

/** Measures checkpoints of the study. */
export class Phase3Study {
  readonly found: Map<string, Phase3Found> = new Map();
  private readonly asked: Map<number, Asked> = new Map();

  constructor(private readonly settings: Phase3Settings) {
    checkOptions("Phase3Study", settings, SETTINGS);
  }

  /** Evidence on one checkpoint with one data seed. @throws ModalscopeError for a checkpoint that the study has not */
  async measure({ id }: Pick<Checkpoint, "id">, seed: number): Promise<Measured> {
    const { model, problems } = this.settings;
    switch (id) {
      case "model":
        return this.ofModel(seed);
      case "random": {
        const { generated } = await this.askedOf(seed);
        return withRandomTwin(model, 2 * seed + 1, async (twin) => {
          const asked = await askAll(twin, problems(seed), { ...this.settings, seed });
          return this.keep(id, asked, await readAll({ ...asked, generated }));
        });
      }
      case "shuffled": {
        const asked = await this.askedOf(seed);
        const n = asked.problems.length;
        const step = 1 + seeded(seed).int(n - 1);
        const states = withChinese(
          asked.states,
          asked.problems.map((_, i) => (i + step) % n),
        );
        return this.keep(id, asked, await readAll({ ...asked, states }, { shuffled: true }));
      }
      case "shared":
      case "separate":
      case "outside":
        return this.ofPlanted(id, seed);
      case "likeDocument":
      case "opposite":
      case "persists":
        return {
          evidence: phase3Evidence(this.settings.study, await phase3MadeByHand(id, seed)),
          gate: PASSED,
        };
      default:
        throw new ModalscopeError(`The study does not know the checkpoint "${id}".`);
    }
  }

  /** Checks of the instruments on the model's first problems. @throws ModalscopeError before the model was measured */
  async instruments(): Promise<Rows> {
    const [asked] = this.asked.values();
    if (!asked) throw new ModalscopeError("The model was not measured yet.", "", "Run claimsMatrix first.");
    const { primary, sizes } = asked.weights;
    return checkInstruments(await subjectAmong(asked, [0]), primary, sizes.main);
  }

  private async ofModel(seed: number): Promise<Measured> {
    const asked = await this.askedOf(seed);
    const passed = mathsGate(asked);
    const first = !this.found.has("model");
    const among = [...asked.problems.keys()].filter(
      (i) => passed.passed.size === 0 || passed.passed.has(asked.problems[i].category),
    );
    const read = { among, asWritten: first && this.settings.asWritten !== false };
    const found = this.keep("model", asked, await readAll(asked, { ...read, drawn: first }), passed);
    if (!first || this.settings.otherConfigurations === false) return found;
    return { ...found, configurations: await this.configurations(asked, read) };
  }

  private ofPlanted(mechanism: PlantedMechanism, seed: number): Promise<Measured> {
    const made = plantedMaths(mechanism, seed);
    const files = {
      "tokenizer.json": JSON.stringify(made.tokenizer),
      "tokenizer_config.json": JSON.stringify(made.tokenizerConfig),
    };
    const plan = { layers: [made.layer, made.layer + 1], k: made.axes.length, foldGain: false };
    return withCheckpoint({ ...made, files }, async (model) => {
      const asked = await askAll(model, riddles(made), { ...this.settings, ...plan, seed, format: "bare" });
      return this.keep(mechanism, asked, await readAll(asked), mathsGate(asked));
    });
  }

  /** The model's own answers and states, once for each seed. */
  private async askedOf(seed: number): Promise<Asked> {
    const { model, problems } = this.settings;
    const known = this.asked.get(seed) ?? (await askAll(model, problems(seed), { ...this.settings, seed }));
    this.asked.set(seed, known);
    return known;
  }

  private keep(id: string, { problems, weights }: Asked, measured: Measurements, passed?: Gate): Measured {
    if (!this.found.has(id))
      this.found.set(id, { weights, measured, problems, ...(passed ? { gate: passed } : {}) });
    const evidence = phase3Evidence(this.settings.study, measured);
    return passed ? { evidence, gate: passed } : { evidence };
  }

  /** The claims of patching and separation with the other layer, size, side of the kernels, and alignment. */
  private async configurations(asked: Asked, read: ReadPlan): Promise<Required<Measured>["configurations"]> {
    const { primary, secondary, sizes } = asked.weights;
    const { randomSets } = phase3Document().rules;
    const plans = {
      [`layer ${secondary}`]: { layer: secondary, k: sizes.main, randomSets },
      [`k = ${sizes.small}`]: { layer: primary, k: sizes.small, randomSets },
      "query side": { layer: primary, k: sizes.main, side: "query" as const, randomSets },
      "optimal transport": { layer: primary, k: sizes.main, align: "transport" as const, randomSets },
    };
    const { measured } = this.found.get("model")!;
    const found: Record<string, Record<string, ClaimEvidence>> = {};
    for (const [name, plan] of Object.entries(plans)) {
      const other: Measurements = {
        ...measured,
        shifts: await shiftsOf(asked, plan, read),
        separation: headed(measured.separation, plan),
      };
      const ids = [
        "zContent",
        ...("align" in plan || "side" in plan ? [] : ["meanSeparates"]),
        ...(plan.layer === secondary ? ["zChangesMore", "doubleDissociation"] : []),
      ];
      const patched =
        plan.layer === secondary ? { ...other, patches: await patchesOf(asked, plan, read) } : other;
      found[name] = Object.fromEntries(
        this.settings.study.claims
          .filter(({ id }) => ids.includes(id))
          .map((claim) => [claim.id, evidenceFor(claim, patched)]),
      );
    }
    return found;
  }
}

/** The gate of what was made by hand: there is no task behind it. */
const PASSED: Gate = { rows: [], passed: new Set() };

/** The rows with those of one layer and size first. */
function headed<T>(part: SeparationPart | T, { layer, k }: { readonly layer: number; readonly k: number }) {
  if (typeof part !== "object" || part === null || !("rows" in part)) return part;
  const own = (part as SeparationPart).rows;
  const chosen = own.filter((row) => row.layer === layer && row.k === k);
  return { ...(part as SeparationPart), rows: [...chosen, ...own.filter((row) => !chosen.includes(row))] };
}
