/** The problems of one data seed, as prompts in both languages. */
import { ModalscopeError } from "../../errors.js";
import type { Model, Prompt } from "../../model/index.js";
import { checkOptions, integer, TASK_OPTIONS, text } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { seeded } from "../../random.js";
import { COUNT } from "../../study-options.js";
import {
  chatPrompt,
  type Grading,
  grade,
  heldOutProblems,
  type Language,
  loadMaths,
  type MathsProblem,
  type PlantedMaths,
  type PromptFrame,
  plainPrompt,
} from "../../tasks/index.js";

/** The question and a line break, the question with labels, or the checkpoint's chat template. */
export type PromptFormat = PromptFrame | "chat";

export const LANGUAGES: readonly Language[] = ["en", "zh"];

/** Problems of a data seed: each draws others. */
export type Problems = (seed: number) => readonly MathsProblem[];

/** Drawn problems of ten categories, or those of a set (`"maths-zh-en"` or a .json file) in the seed's order. */
export function problemSource(options: { readonly data?: string; readonly each: number }): Problems {
  checkOptions("problemSource", options, { data: text, each: COUNT });
  const { data, each } = options;
  if (!data) return (seed) => seeded(seed).shuffle(heldOutProblems({ each, seed, reach: "wide" }));
  const all = loadMaths(data);
  const categories = new Set(all.map(({ category }) => category)).size;
  return (seed) =>
    seeded(seed)
      .shuffle(all)
      .slice(0, each * categories);
}

/** A planted checkpoint's riddles, each asked in four orders of its words. */
export function riddles({ problems }: PlantedMaths): MathsProblem[] {
  const turned = (text: string, by: number): string => {
    const words = text.split(" ");
    return [...words.slice(by), ...words.slice(0, by)].join(" ");
  };
  return [0, 1, 2, 3].flatMap((by) =>
    problems.map((own) => ({ ...own, en: turned(own.en, by), zh: turned(own.zh, by) })),
  );
}

function promptOf(problem: MathsProblem, language: Language, format: PromptFormat): Prompt {
  return format === "chat"
    ? chatPrompt(problem, language, { briefly: true })
    : plainPrompt(problem, language, format);
}

/** Token ids of every problem in both languages. */
export function promptIds(
  model: Model,
  problems: readonly MathsProblem[],
  format: PromptFormat,
): Record<Language, number[][]> {
  const of = (language: Language): number[][] =>
    problems.map((problem) => [...model.tokenize(promptOf(problem, language, format))]);
  return { en: of("en"), zh: of("zh") };
}

export interface AskOptions extends TaskOptions {
  readonly maxNewTokens: number;
  readonly rowsPerCall?: number;
}

/** The model's answers to prompts, by greedy decoding. */
export async function ask(
  model: Model,
  prompts: readonly (readonly number[])[],
  answers: readonly number[],
  { maxNewTokens, rowsPerCall = 160, signal }: AskOptions,
): Promise<{ readonly graded: readonly Grading[]; readonly ids: readonly (readonly number[])[] }> {
  const graded: Grading[] = [];
  const ids: (readonly number[])[] = [];
  for (let start = 0; start < prompts.length; start += rowsPerCall) {
    const batch = model.batch(prompts.slice(start, start + rowsPerCall));
    const rows = await model.generate(batch, { maxNewTokens, stopStrings: STOPS, signal });
    rows.forEach((row, i) => {
      graded.push(grade(row.text, answers[start + i]));
      ids.push(row.ids);
    });
  }
  return { graded, ids };
}

/** A base model goes on with the next question. */
export const STOPS: readonly string[] = ["\nQuestion:", "\n问题"];

/** The problem was solved in the language in which it was asked. */
export function solvedIn(language: Language, { correct, language: own }: Grading): boolean {
  return correct && own === language;
}

/** How the model solves most of these problems in both languages; ask it others than those of the study. */
export async function bestFormat(
  model: Model,
  problems: readonly MathsProblem[],
  options: AskOptions,
): Promise<PromptFormat> {
  checkOptions("bestFormat", options, { ...TASK_OPTIONS, maxNewTokens: COUNT, rowsPerCall: integer(1) });
  if (problems.length === 0) throw new ModalscopeError("No problems were given to try prompt formats on.");
  const formats: PromptFormat[] = [
    "bare",
    "labelled",
    ...(model.tokenizer?.chat_template ? (["chat"] as const) : []),
  ];
  const answers = problems.map(({ answer }) => answer);
  const solved: number[] = [];
  for (const format of formats) {
    const ids = promptIds(model, problems, format);
    const [en, zh] = [await ask(model, ids.en, answers, options), await ask(model, ids.zh, answers, options)];
    const both = en.graded.filter((own, i) => solvedIn("en", own) && solvedIn("zh", zh.graded[i]));
    solved.push(both.length);
  }
  return formats[solved.indexOf(Math.max(...solved))];
}
