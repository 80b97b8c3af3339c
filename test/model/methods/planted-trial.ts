/** Planted vision checkpoints, opened with their questions. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Batch, loadModel, type Model, saveCheckpoint } from "../../../lib/model/index.js";
import { asMessage, type PlantedVisionKind, plantedVision } from "../../../lib/tasks/index.js";

export interface Trial {
  readonly model: Model;
  /** The questions, of one grade. */
  readonly batch: Batch;
  /** The same questions, each about the next one's image. */
  readonly others: Batch;
  /** The answers' first tokens. */
  readonly tokens: readonly number[];
  readonly answers: readonly string[];
  readonly questions: readonly ReturnType<typeof asMessage>[];
  /** The block that decides. */
  readonly decides: number | undefined;
}

const root = mkdtempSync(join(tmpdir(), "modalscope planted "));
/** What the process's tests have opened: each checkpoint is made, and its sessions are built, once. */
const opened = new Map<string, Promise<Trial>>();
process.once("exit", () => rmSync(root, { recursive: true, force: true }));

/** A planted checkpoint with its questions of one grade, open until the process's tests have ended. */
export async function withPlanted(
  kind: PlantedVisionKind,
  use: (trial: Trial) => Promise<void>,
  wanted: "easy" | "hard" = "easy",
): Promise<void> {
  const name = `${kind} ${wanted}`;
  if (!opened.has(name)) opened.set(name, open(kind, wanted));
  await use(await opened.get(name)!);
}

async function open(kind: PlantedVisionKind, wanted: "easy" | "hard"): Promise<Trial> {
  const folder = join(root, `${kind} ${wanted}`);
  const made = plantedVision(kind);
  saveCheckpoint(folder, made.config, made.weights, made.files);
  const model = await loadModel(folder, { threads: 1 });
  const asked = made.questions.filter(({ grade }) => grade === wanted);
  const questions = asked.map(asMessage);
  const swapped = asked.map((q, i) => asMessage({ ...q, images: asked[(i + 1) % asked.length].images }));
  const answers = asked.map((q) => q.answers[0]);
  return {
    model,
    batch: await model.prepare(questions.map((q) => [q])),
    others: await model.prepare(swapped.map((q) => [q])),
    tokens: answers.map((answer) => model.tokenize(answer)[0]),
    answers,
    questions,
    decides: made.layer,
  };
}

/** Sum over samples at each layer of values (layers, batch). */
export function byLayer({
  data,
  shape: [layers, batch],
}: {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}): number[] {
  return Array.from({ length: layers }, (_, l) =>
    data.subarray(l * batch, (l + 1) * batch).reduce((a, b) => a + b, 0),
  );
}
