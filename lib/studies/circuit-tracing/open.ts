/** What a run of the notebook works on. */
import { readTranscoders, type TranscoderSet } from "../../circuits/index.js";
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import { checkOptions, type OptionChecks, required, TASK_OPTIONS, text } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { COUNT, MODEL, STUDY } from "../../study-options.js";
import { drawTasks, hands, planets, type VisualTask } from "../../tasks/index.js";
import type { Study } from "../index.js";
import { CircuitStudy } from "./study.js";
import { checkSeesImages } from "./subject.js";

export interface OpenOptions extends TaskOptions {
  readonly study: Study;
  readonly model: Model;
  /** Name of an embedded set, or a folder in circuit-tracer's layout. */
  readonly transcoders: string;
  /** The same for a set that was trained on text alone; empty for none. */
  readonly textTranscoders: string;
  readonly imageSize: number;
  readonly samples: number;
  readonly rowsPerCall: number;
}

export interface OpenedStudy {
  readonly circuits: CircuitStudy;
  readonly set: TranscoderSet;
  readonly textSet?: TranscoderSet;
}

const OPEN_OPTIONS: OptionChecks<OpenOptions> = {
  ...TASK_OPTIONS,
  study: STUDY,
  model: MODEL,
  transcoders: required(text, "a set's name or a folder"),
  textTranscoders: required(text, "a set's name or a folder, or an empty string for none"),
  imageSize: COUNT,
  samples: COUNT,
  rowsPerCall: COUNT,
};

/**
 * Reads transcoders and opens the study, before anything is computed.
 * @throws ModalscopeError for transcoders of another model, a model without images, too few images
 */
export function openCircuits(given: OpenOptions): OpenedStudy {
  checkOptions("openCircuits", given, OPEN_OPTIONS);
  const { transcoders, textTranscoders, ...options } = given;
  const { model, samples } = options;
  if (!(Number.isInteger(samples) && samples >= LEAST_SAMPLES))
    throw new ModalscopeError(
      `${samples} images of each kind are too few.`,
      "Nothing can be drawn, compared or probed.",
      `Give a whole number from ${LEAST_SAMPLES} on; rates take 100.`,
    );
  checkSeesImages(model);
  const set = readTranscoders(transcoders, { model });
  const textSet = textTranscoders === "" ? undefined : readTranscoders(textTranscoders, { model });
  return { circuits: new CircuitStudy({ ...options, set, textSet }), set, textSet };
}

const LEAST_SAMPLES = 10;

/** Held-out images that the notebook looks at one by one: two planets, and hands with six fingers and with five. */
export interface Examples {
  readonly mars: VisualTask;
  readonly earth: VisualTask;
  readonly six: VisualTask;
  readonly five: VisualTask;
}

export function exampleTasks(size: number): Examples {
  const drawn = { split: "heldout", size, count: 80, seed: 11 } as const;
  const planet = (name: string): VisualTask =>
    drawTasks(planets, { ...drawn, types: ["name"] }).find(({ answers: [own] }) => own === name)!;
  const [six] = drawTasks(hands, { ...drawn, types: ["six"], count: 1 });
  const [five] = drawTasks(hands, { ...drawn, types: ["fingers"], count: 1 });
  return { mars: planet("mars"), earth: planet("earth"), six, five };
}
