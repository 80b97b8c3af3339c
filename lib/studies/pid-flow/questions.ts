/** Questions of the six task types: drawn scenes, or GQA. */
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, type OptionChecks, text } from "../../options.js";
import { seeded } from "../../random.js";
import { localCopy } from "../../storage/index.js";
import { COUNT } from "../../study-options.js";
import { drawTasks, GQA_TASK_TYPES, loadGqa, scenes, type VisualTask } from "../../tasks/index.js";

/** Questions by task type. */
export type Questions = ReadonlyMap<string, readonly VisualTask[]>;

export interface QuestionOptions {
  /** Folder of GQA as published; without it scenes are drawn. */
  readonly data?: string;
  /** Folder of question lists (CSV with a column `question_id`), which GQA is cut down to. */
  readonly lists?: string;
  readonly perTask: number;
  /** Pixels on a side of drawn images. Default 48. */
  readonly imageSize?: number;
}

const QUESTION_OPTIONS: OptionChecks<QuestionOptions> = {
  data: text,
  lists: text,
  perTask: COUNT,
  imageSize: integer(1),
};

/**
 * A source of questions that draws other ones for each seed.
 * @throws ModalscopeError when a task type has fewer questions than are asked for
 */
export async function questionSource(options: QuestionOptions): Promise<(seed: number) => Questions> {
  checkOptions("questionSource", options, QUESTION_OPTIONS);
  const { data, lists, perTask, imageSize = 48 } = options;
  if (!data)
    return (seed) =>
      new Map(
        GQA_TASK_TYPES.map((type, t) => [
          type,
          drawTasks(scenes, {
            count: perTask,
            split: "heldout",
            size: imageSize,
            seed: 1000 * seed + t,
            types: [type],
          }),
        ]),
      );
  const all = await loadGqa(data, { lists: lists && (await localCopy(lists)) });
  const byType = GQA_TASK_TYPES.map((type) => [type, all.filter((task) => task.type === type)] as const);
  const short = byType.find(([, own]) => own.length < perTask);
  if (short)
    throw new ModalscopeError(
      `GQA has ${short[1].length} questions of the type ${short[0]} here, and ${perTask} are asked for.`,
      "",
      "Ask for fewer questions of each task, or give all of the split.",
    );
  return (seed) =>
    new Map(
      byType.map(([type, own]) => [
        type,
        seeded(seed)
          .shuffle([...own])
          .slice(0, perTask),
      ]),
    );
}

/** Image of a question, by which questions are clustered. */
export function imageOf(task: VisualTask): string {
  const { imageId } = (task.annotation ?? {}) as { readonly imageId?: unknown };
  return typeof imageId === "string" ? imageId : task.id;
}
