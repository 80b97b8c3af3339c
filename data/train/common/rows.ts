/** From tasks to what a step learns. */
import type { Message, Model } from "../../../lib/model/index.js";
import type { TrainingBatch } from "../../../lib/model/training/index.js";
import { asMessage } from "../../../lib/tasks/index.js";
import { visualLabels } from "./labels.js";
import type { Conversation, Labels, Row } from "./recipe.js";
import { encoderOf, isTranscript, transcriptBatch } from "./transcripts.js";

/** All turns with their (first) answers; the image goes with the first. */
export function answered(tasks: Conversation): Message[] {
  return tasks.flatMap((task, turn): Message[] => [
    turn === 0 ? asMessage(task) : { role: "user", content: [{ type: "text", text: task.prompt }] },
    { role: "assistant", content: [{ type: "text", text: task.answers[0] }] },
  ]);
}

/** Batch from the rows of a step, which are of one sort. */
export function trainingBatch(model: Model, rows: readonly Row[], labels?: Labels): Promise<TrainingBatch> {
  const texts = rows.filter(isTranscript);
  if (texts.length === rows.length) return Promise.resolve(transcriptBatch(encoderOf(model), texts));
  if (texts.length > 0) throw new TypeError("A stage has either conversations or transcripts.");
  return conversationBatch(model, rows as readonly Conversation[], labels);
}

/**
 * Token ids and images, padded on the right. Of each turn the answer and the end token after it are to be predicted,
 * and of each visual token what is true of its part of the image, where that is known.
 */
export async function conversationBatch(
  model: Model,
  rows: readonly Conversation[],
  labels?: Labels,
): Promise<TrainingBatch> {
  const batch = await model.prepare(rows.map(answered), { paddingSide: "right" });
  const targets = new Int32Array(batch.inputIds.length);
  const lossWeights = new Float32Array(batch.inputIds.length);
  const opening = answerOpening(model);
  for (let row = 0; row < batch.size; row++) {
    const cells = batch.tokenPositions[row].map((column) => row * batch.seqLength + column);
    const ids = cells.map((cell) => batch.inputIds[cell]);
    let answering = false;
    for (let t = 1; t < cells.length; t++) {
      answering ||= opening.every((id, i) => id === ids[t - opening.length + i]);
      if (!answering) continue;
      targets[cells[t - 1]] = ids[t];
      lossWeights[cells[t - 1]] = 1;
      answering = !model.eosTokenIds.includes(ids[t]);
    }
  }
  return { batch, targets, lossWeights, ...(labels && { labels: visualLabels(rows, batch, labels) }) };
}

/** The tokens after which the model's turn begins. */
function answerOpening({ tokenizer }: Model): number[] {
  const question = [{ role: "user", content: "" }];
  const filled = (add_generation_prompt: boolean): string =>
    tokenizer!.apply_chat_template(question, { tokenize: false, add_generation_prompt });
  const opening = filled(true).slice(filled(false).length);
  return Array.from(tokenizer!.encode(opening, { add_special_tokens: false }), Number);
}
