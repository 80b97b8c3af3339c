/** From tasks to what a step learns. */
import type { Message, Model, PromptPart } from "../../../lib/model/index.js";
import type { TrainingBatch } from "../../../lib/model/train.js";
import { type Random, seeded } from "../../../lib/random.js";
import type { VisualTask } from "../../../lib/tasks/index.js";
import type { Source, Stage } from "./recipe.js";

/** Batches of a lot are drawn together and sorted by length, so that little is filled up. */
const LOT = 8;

/** A task as the user asks it. */
export function asked({ images, passage, prompt }: VisualTask): Message {
  const pictures = images.map((image): PromptPart => ({ type: "image", image }));
  const text = passage === undefined ? prompt : `${passage} ${prompt}`;
  return { role: "user", content: [...pictures, { type: "text", text }] };
}

/** A task with its (first) answer. */
export function answered(task: VisualTask): Message[] {
  return [asked(task), { role: "assistant", content: [{ type: "text", text: task.answers[0] }] }];
}

/** The batches of a stage by step: equal seeds give equal batches, wherever one begins. */
export function batchesOf(stage: Stage, seed: number): (step: number) => Promise<readonly VisualTask[]> {
  let at = -1;
  let lot: VisualTask[][] = [];
  return async (step) => {
    const wanted = Math.floor(step / LOT);
    if (wanted !== at) {
      at = wanted;
      lot = await drawLot(stage, seeded(seed * 1_000_003 + wanted * 101 + stage.name.length));
    }
    return lot[step % LOT];
  };
}

async function drawLot(stage: Stage, random: Random): Promise<VisualTask[][]> {
  const sources = await stage.sources(random);
  const tasks = Array.from({ length: stage.rows * LOT }, () => pick(sources, random).draw());
  const length = ({ prompt, passage = "", answers, images }: VisualTask): number =>
    words(`${passage} ${prompt} ${answers[0]}`) + 40 * images.length;
  tasks.sort((a, b) => length(a) - length(b));
  const batches = Array.from({ length: LOT }, (_, i) => tasks.slice(i * stage.rows, (i + 1) * stage.rows));
  return random.shuffle(batches);
}

const words = (text: string): number => text.split(/\b/).length;

function pick(sources: readonly Source[], random: Random): Source {
  let left = random.uniform() * sources.reduce((sum, { share }) => sum + share, 0);
  for (const source of sources) {
    left -= source.share;
    if (left < 0) return source;
  }
  return sources[sources.length - 1];
}

/** Token ids and pictures of tasks, padded on the right; the answer and the end token after it are to be predicted. */
export async function learning(model: Model, tasks: readonly VisualTask[]): Promise<TrainingBatch> {
  const batch = await model.prepare(tasks.map(answered), { side: "right" });
  const targets = new Int32Array(batch.ids.length);
  const counts = new Float32Array(batch.ids.length);
  batch.answer.forEach((columns, row) => {
    const first = columns[0] ?? batch.last[row];
    for (let c = first; c <= batch.last[row]; c++) {
      const cell = row * batch.time + c - 1;
      targets[cell] = batch.ids[cell + 1];
      counts[cell] = 1;
    }
  });
  return { batch, targets, counts };
}
