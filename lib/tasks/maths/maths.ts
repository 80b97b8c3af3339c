import { readFileSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, ModalscopeError } from "../../errors.js";
import { checkOptions, flag } from "../../options.js";
import { packageRoot } from "../../package-root.js";
import { evaluate } from "./expression.js";
import type { Language } from "./wordings.js";

/** One problem, asked in both languages. */
export interface MathsProblem {
  readonly id: string;
  readonly category: string;
  /** The answer as arithmetic, for a script to check; not part of any prompt. */
  readonly expression: string;
  /** An integer. */
  readonly answer: number;
  readonly en: string;
  readonly zh: string;
}

/** The sets that come with the library: problems in natural wording, and the held-out ones of the embedded model. */
export const MATHS_SETS = ["maths-zh-en", "maths-zh-en-templates"] as const;

/**
 * Reads a set of paired problems.
 * @param from a shipped set's name, or the path of a JSON file `{ problems: MathsProblem[] }`.
 * @throws ModalscopeError when it cannot be read, a field is missing or of the wrong type, an id comes twice, or
 * an answer is not what its expression gives.
 */
export function loadMaths(from: string = "maths-zh-en"): MathsProblem[] {
  const isPath = /[\\/]|\.json$/.test(from);
  if (!isPath && !(MATHS_SETS as readonly string[]).includes(from)) {
    throw new ModalscopeError(
      `There is no maths set "${from}".`,
      `The shipped ones are ${MATHS_SETS.join(" and ")}.`,
      didYouMean(from, MATHS_SETS) || "Give one of them or the path of a .json file.",
    );
  }
  const path = isPath ? from : join(packageRoot(), "data", "tasks", `${from}.json`);
  return checkMaths(parse(path), path);
}

/**
 * Checks that a value is a set of problems, and that every answer is right.
 * @param where named in errors.
 */
export function checkMaths(value: unknown, where: string): MathsProblem[] {
  const problems = (value as { problems?: unknown } | null)?.problems;
  if (!Array.isArray(problems) || problems.length === 0) {
    throw new ModalscopeError(
      `${where} holds no problems.`,
      'A set is an object with a non-empty list "problems".',
    );
  }
  const seen = new Set<string>();
  return problems.map((entry: unknown, i) => {
    const problem = checkProblem(entry, `${where}, problem ${i + 1}`);
    if (seen.has(problem.id)) {
      throw new ModalscopeError(
        `${where} has the id "${problem.id}" twice.`,
        "",
        "Give each problem its own.",
      );
    }
    seen.add(problem.id);
    return problem;
  });
}

/**
 * Frame of a question as a plain prompt. `bare` is the question and a line break (what the embedded checkpoint is
 * trained on); `labelled` names question and answer, which suits a base model better.
 */
export type PromptFrame = "bare" | "labelled";

const FRAMES: Readonly<Record<PromptFrame, Readonly<Record<Language, (question: string) => string>>>> = {
  bare: { en: (question) => `${question}\n`, zh: (question) => `${question}\n` },
  labelled: {
    en: (question) => `Question: ${question}\nAnswer:`,
    zh: (question) => `问题：${question}\n答案：`,
  },
};

/** The prompt of a problem in a language, as plain text. */
export function plainPrompt(problem: MathsProblem, language: Language, frame: PromptFrame = "bare"): string {
  return FRAMES[frame][language](problem[language]);
}

/** One turn of a conversation, as chat templates take it. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Asks for a short answer, so that a hundred tokens hold it. */
export const BRIEF_INSTRUCTION: Readonly<Record<Language, string>> = {
  en: "Answer in one short sentence.",
  zh: "请用一句话简短回答。",
};

/** The prompt of a problem as a conversation, for `tokenizer.apply_chat_template`. */
export function chatPrompt(
  problem: MathsProblem,
  language: Language,
  options: { briefly?: boolean } = {},
): ChatMessage[] {
  checkOptions("chatPrompt", options, { briefly: flag });
  const content = options.briefly
    ? `${problem[language]}${language === "en" ? " " : ""}${BRIEF_INSTRUCTION[language]}`
    : problem[language];
  return [{ role: "user", content }];
}

function parse(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ModalscopeError(
      `${path} cannot be read.`,
      (cause as Error).message,
      "Give the path of a JSON file.",
      {
        cause,
      },
    );
  }
}

function checkProblem(entry: unknown, where: string): MathsProblem {
  const fields = (entry ?? {}) as Record<string, unknown>;
  for (const name of ["id", "category", "expression", "en", "zh"]) {
    if (typeof fields[name] !== "string" || fields[name] === "") {
      throw new ModalscopeError(`${where} has no text in "${name}".`, "", "Every problem needs it.");
    }
  }
  if (!Number.isInteger(fields.answer)) {
    throw new ModalscopeError(
      `${where} has no integer in "answer".`,
      `It is ${JSON.stringify(fields.answer)}.`,
    );
  }
  const problem = fields as unknown as MathsProblem;
  const value = evaluate(problem.expression);
  if (Math.abs(value - problem.answer) > 1e-9) {
    throw new ModalscopeError(
      `${where} ("${problem.id}") says ${problem.answer}.`,
      `Its expression ${problem.expression} gives ${value}.`,
      "Correct one of them.",
    );
  }
  return problem;
}
