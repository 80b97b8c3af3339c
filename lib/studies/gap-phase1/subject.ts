/** The subject of the study: a model and its questions, on which each experiment draws. */
import { ModalscopeError } from "../../errors.js";
import type { Batch, Message, Model } from "../../model/index.js";
import { asMessage, blind, type VisualTask } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import type { Rows, SampleGrade, Samples } from "./parts.js";
import type { Store } from "./store.js";

/** A question of the study. */
export interface GapSample {
  readonly task: VisualTask;
  readonly grade: SampleGrade;
  /** The same question with its image in words; none for data sets without them. */
  readonly twin?: VisualTask;
}

export interface Subject {
  readonly model: Model;
  readonly samples: readonly GapSample[];
  /** Other questions, which means are taken over and experts are chosen on. */
  readonly heldOut: readonly GapSample[];
  /** Questions that all ask the same, and what their images show. */
  readonly probes: readonly ProbeTask[];
  /** Most questions that run together. */
  readonly rowsPerCall: number;
  readonly store: Store;
}

export interface ProbeTask {
  readonly task: VisualTask;
  readonly label: string;
}

/** @throws ModalscopeError for a model that cannot be asked about images. */
export function checkModel({ config, checkpoint, tokenizer }: Model): void {
  if (config.vision_config && tokenizer) return;
  throw new ModalscopeError(
    `This checkpoint (${checkpoint.modelType}) cannot be asked about images.`,
    config.vision_config ? "It has no tokenizer." : "It is text-only, and the study is about visual tokens.",
    'Give a vision-language model, such as model = "tiny-qwen3-vl-moe".',
  );
}

export const messages = (tasks: readonly VisualTask[]): (readonly [Message])[] =>
  tasks.map((task) => [asMessage(task)]);

/** The samples' batch, and the first tokens of their answers. */
export interface Asked {
  readonly batch: Batch;
  readonly answers: readonly number[];
}

export async function ask(model: Model, tasks: readonly VisualTask[]): Promise<Asked> {
  return {
    batch: await model.prepare(messages(tasks)),
    answers: firstTokens(model, tasks),
  };
}

/** The first token of each task's first accepted answer. */
function firstTokens({ tokenizer }: Model, tasks: readonly VisualTask[]): number[] {
  const texts = tasks.map(({ answers }) => answers[0] ?? "");
  const encoded = tokenizer?.encodeBatch(texts, { add_special_tokens: false });
  return tasks.map(({ id }, i) => {
    const token = encoded?.[i][0];
    if (token !== undefined) return token;
    throw new ModalscopeError(`The question "${id}" has no answer to compare with.`);
  });
}

export const tasksOf = (samples: readonly GapSample[]): VisualTask[] => samples.map(({ task }) => task);

export const blindTasks = (samples: readonly GapSample[]): VisualTask[] =>
  samples.map(({ task }) => blind(task));

/** Grade and image of each sample. */
export function samplesOf(samples: readonly GapSample[]): Samples {
  return {
    grades: samples.map(({ grade }) => grade),
    clusters: samples.map(({ task }) => imageName(task)),
  };
}

/** Questions about one file are about one image; one that was drawn or read has an image of its own. */
function imageName({ id, images }: VisualTask): string {
  return images.map((image) => (typeof image === "string" ? image : id)).join(" ");
}

/** At most so many samples, as many of each grade as there are. */
export function someOf(samples: readonly GapSample[], most: number): GapSample[] {
  const byGrade = (["easy", "hard"] as const).map((grade) => samples.filter((own) => own.grade === grade));
  const [easy, hard] = byGrade;
  const half = Math.floor(most / 2);
  const hardCount = Math.min(hard.length, Math.max(half, most - easy.length));
  return [...easy.slice(0, most - hardCount), ...hard.slice(0, hardCount)];
}

/** Values of each sample at some points, (samples, points), and in the clean run. */
export interface ByRows {
  readonly rows: Rows;
  readonly clean: readonly number[];
}

/** Measures samples a few at a time, as plain data that the subject's store keeps as it goes. */
export function inCalls(
  calls: Pick<Subject, "rowsPerCall" | "store">,
  name: string,
  count: number,
  measure: (from: number, to: number) => Promise<ByRows>,
): Promise<ByRows> {
  return eachCall(calls, count, (from, to) =>
    calls.store.remember(`${name}-${from}`, () => measure(from, to)),
  );
}

/** The rows of all samples, from those of a few at a time. */
export async function eachCall(
  { rowsPerCall }: Pick<Subject, "rowsPerCall">,
  count: number,
  measure: (from: number, to: number) => Promise<ByRows>,
): Promise<ByRows> {
  const found: ByRows[] = [];
  for (let from = 0; from < count; from += rowsPerCall)
    found.push(await measure(from, Math.min(count, from + rowsPerCall)));
  return { rows: found.flatMap(({ rows }) => rows), clean: found.flatMap(({ clean }) => clean) };
}

/** Rows (batch, points) of values (points, batch) of a sweep. */
export function bySample({ data, shape }: Tensor<Float64Array>): Rows {
  const batch = shape[shape.length - 1];
  const points = data.length / batch;
  return Array.from({ length: batch }, (_, b) =>
    Array.from({ length: points }, (_, p) => data[p * batch + b]),
  );
}

/** The next image in a batch that has as many visual tokens, by row: the row itself where there is none. */
export function partners({ visual }: Batch): number[] {
  return visual.map((own, b) => {
    const after = visual.map((_, i) => (b + 1 + i) % visual.length);
    return after.find((i) => visual[i].length === own.length)!;
  });
}
