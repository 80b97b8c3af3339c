/** From tasks to what a step learns. */
import type { Batch, BatchImage } from "../../../lib/model/batch/index.js";
import type { Message, Model } from "../../../lib/model/index.js";
import type { TrainingBatch } from "../../../lib/model/training/index.js";
import { asMessage, type BoxAnnotation, type Raster } from "../../../lib/tasks/index.js";
import type { Conversation, Row } from "./recipe.js";
import { encoderOf, isTranscript, transcriptBatch } from "./transcripts.js";

/** All turns with their (first) answers; the image goes with the first. */
export function answered(tasks: Conversation): Message[] {
  return tasks.flatMap((task, turn): Message[] => [
    turn === 0 ? asMessage(task) : { role: "user", content: [{ type: "text", text: task.prompt }] },
    { role: "assistant", content: [{ type: "text", text: task.answers[0] }] },
  ]);
}

/** What a step learns from its rows, which are of one sort. */
export function trainingBatch(model: Model, rows: readonly Row[]): Promise<TrainingBatch> {
  const texts = rows.filter(isTranscript);
  if (texts.length === rows.length) return Promise.resolve(transcriptBatch(encoderOf(model), texts));
  if (texts.length > 0) throw new TypeError("A stage has either conversations or transcripts.");
  return conversationBatch(model, rows as readonly Conversation[]);
}

/**
 * Token ids and images, padded on the right. Of each turn the answer and the end token after it are to be predicted,
 * and at each visual token a word for what its part of the image shows, where that is known.
 */
export async function conversationBatch(model: Model, rows: readonly Conversation[]): Promise<TrainingBatch> {
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
  for (const { cell, word } of named(rows, batch)) {
    targets[cell] = model.tokenizer!.encode(` ${word}`, { add_special_tokens: false }).at(-1)!;
    lossWeights[cell] = 1;
  }
  return { batch, targets, lossWeights };
}

/**
 * For the cells of visual tokens a word of what is there. The words of one thing come by turns, in other places in every
 * row: a token that always said the shape would not learn the colour, and only what knows both can be looked up by one.
 */
function named(
  rows: readonly Conversation[],
  { images = [], seqLength: time }: Batch,
): { cell: number; word: string }[] {
  return images.flatMap(({ row, positions: columns, image }) => {
    const { annotations = [] } = rows[row][0].images[0] as Raster;
    return image.tokens.flatMap((token, t) => {
      const words = token.box && shown(annotations, token.box)?.words;
      return words
        ? [{ cell: row * time + columns[t], word: words[(row + token.row + token.column) % words.length] }]
        : [];
    });
  });
}

type Box = NonNullable<BatchImage["image"]["tokens"][number]["box"]>;

/** The mark of which a box holds the largest part; none where it holds too little to tell what is there. */
function shown(marks: readonly BoxAnnotation[], [x0, y0, x1, y1]: Box): BoxAnnotation | undefined {
  const held = marks.map((mark) => {
    const width = Math.min(x1, mark.right) - Math.max(x0, mark.left);
    const height = Math.min(y1, mark.bottom) - Math.max(y0, mark.top);
    const area = (mark.right - mark.left) * (mark.bottom - mark.top);
    const common = width > 0 && height > 0 ? width * height : 0;
    return { mark, part: common < Math.min(area, (x1 - x0) * (y1 - y0)) / 4 ? 0 : common / area };
  });
  const [largest] = held.sort((a, b) => b.part - a.part);
  return largest?.part ? largest.mark : undefined;
}

/** The tokens after which the model's turn begins. */
function answerOpening({ tokenizer }: Model): number[] {
  const question = [{ role: "user", content: "" }];
  const filled = (add_generation_prompt: boolean): string =>
    tokenizer!.apply_chat_template(question, { tokenize: false, add_generation_prompt }) as string;
  const opening = filled(true).slice(filled(false).length);
  return Array.from(tokenizer!.encode(opening, { add_special_tokens: false }), Number);
}
