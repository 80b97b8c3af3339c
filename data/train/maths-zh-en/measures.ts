/** Held-out problems, asked in both languages. */
import { type Estimate, wilson } from "../../../lib/analysis/index.js";
import type { Model } from "../../../lib/model/model.js";
import {
  grade,
  heldOutProblems,
  type Language,
  languageOf,
  type MathsProblem,
  type OperandRange,
} from "../../../lib/tasks/index.js";
import type { Finding } from "../common/recipe.js";
import { exchange } from "./sources.js";

const LANGUAGES: readonly Language[] = ["en", "zh"];
const ROWS = 60;
const MAX_NEW_TOKENS = 20;

interface Answer {
  readonly category: string;
  readonly correct: boolean;
  readonly ownLanguage: boolean;
}

/** Accuracy by category and language, then of all, through the chat template too. */
export async function heldOutAccuracy(
  model: Model,
  each: number,
  seed: number,
  reach: OperandRange,
): Promise<Finding> {
  const problems = heldOutProblems({ each, seed, reach });
  const ask = (chat: boolean) =>
    Promise.all(LANGUAGES.map((language) => answersTo(model, problems, language, chat)));
  const plain = await ask(false);
  const chat = await ask(true);
  const share = (answers: readonly Answer[], of: "correct" | "ownLanguage"): Estimate =>
    wilson(answers.filter((answer) => answer[of]).length, answers.length);
  const categories = [...new Set(problems.map(({ category }) => category))];
  return {
    name: reach === "usual" ? "Held-out problems" : "Held-out problems from the wider range",
    about: `${reach === "usual" ? "" : "Operands from the range that half of the training is from: categories with few problems have more. "}Of all problems (operands of a kind, in both languages and every wording) a fixed part is never trained on; these are ${problems.length} different questions among them, up to ${each} of each category, with 95 % Wilson intervals.`,
    columns: ["category", "English", "Chinese"],
    rows: [
      ...categories.map((category) => [
        category,
        ...plain.map((answers) =>
          share(
            answers.filter((answer) => answer.category === category),
            "correct",
          ),
        ),
      ]),
      ["**all**", ...plain.map((answers) => share(answers, "correct"))],
      ["all, through the chat template", ...chat.map((answers) => share(answers, "correct"))],
      ["answered in the question's language", ...plain.map((answers) => share(answers, "ownLanguage"))],
    ],
  };
}

async function answersTo(
  model: Model,
  problems: readonly MathsProblem[],
  language: Language,
  chat: boolean,
): Promise<Answer[]> {
  const found: Answer[] = [];
  for (let i = 0; i < problems.length; i += ROWS) {
    const part = problems.slice(i, i + ROWS);
    const prompts = part.map((problem) => exchange(problem[language], "", chat).prompt);
    const replies = await model.generate(prompts, { maxNewTokens: MAX_NEW_TOKENS });
    part.forEach(({ category, answer }, k) => {
      const { text } = replies[k];
      found.push({
        category,
        correct: grade(text, answer).correct,
        ownLanguage: languageOf(text) === language,
      });
    });
  }
  return found;
}
