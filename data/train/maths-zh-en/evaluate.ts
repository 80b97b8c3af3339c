/** Measures the bilingual maths checkpoint on held-out problems and writes its model card. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { loadModel } from "../../../lib/model/load.js";
import type { Model } from "../../../lib/model/model.js";
import { seeded } from "../../../lib/random.js";
import { grade, languageOf } from "../../../lib/tasks/maths/answers.js";
import { drawProblems, HELD_OUT_PERCENT, type SyntheticProblem } from "../../../lib/tasks/maths/synthetic.js";
import type { Language } from "../../../lib/tasks/maths/wordings.js";
import { exchange } from "./batches.js";

interface Score {
  problems: number;
  right: number;
  ownLanguage: number;
}

type Scores = Map<string, Record<Language, Score>>;

const languages = ["en", "zh"] as const;
const ROWS = 60;

async function measure(model: Model, problems: readonly SyntheticProblem[], chat: boolean): Promise<Scores> {
  const scores: Scores = new Map();
  for (const language of languages) {
    for (let i = 0; i < problems.length; i += ROWS) {
      const part = problems.slice(i, i + ROWS);
      const prompts = part.map((p) => exchange(p.question[language], p.sentence[language], chat).prompt);
      const answers = await model.generate(prompts, { maxNewTokens: 20 });
      part.forEach((problem, k) => {
        const fresh = (): Score => ({ problems: 0, right: 0, ownLanguage: 0 });
        const both = scores.get(problem.category) ?? { en: fresh(), zh: fresh() };
        scores.set(problem.category, both);
        const score = both[language];
        score.problems++;
        if (grade(answers[k].text, problem.answer).correct) score.right++;
        if (languageOf(answers[k].text) === language) score.ownLanguage++;
      });
    }
  }
  return scores;
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(0)} %`;

function total(scores: Scores, language: Language, of: "right" | "ownLanguage"): string {
  const all = [...scores.values()].map((both) => both[language]);
  const sum = all.reduce((n, s) => n + s[of], 0);
  const problems = all.reduce((n, s) => n + s.problems, 0);
  return `${sum} of ${problems} (${percent(sum, problems)})`;
}

function table(scores: Scores): string {
  const rows = [...scores].map(([category, { en, zh }]) => {
    const cell = (s: Score): string => `${s.right} of ${s.problems}`;
    return `| ${category} | ${cell(en)} | ${cell(zh)} |`;
  });
  const all = `| **all** | ${total(scores, "en", "right")} | ${total(scores, "zh", "right")} |`;
  return ["| category | English | Chinese |", "|---|---|---|", ...rows, all].join("\n");
}

function card(model: Model, plain: Scores, chat: Scores, command: string): string {
  const { config } = model;
  const parameters = [...model.checkpoint.weights.values()].reduce((n, w) => n + w.byteLength / 4, 0);
  return `---
license: mit
language: [en, zh]
---
# maths-zh-en

A small bilingual model of ten kinds of arithmetic problem, in Qwen2's layout: ${(parameters / 1e6).toFixed(1)} million
parameters, ${config.num_hidden_layers} blocks of width ${config.hidden_size}, ${config.num_attention_heads} heads
(${config.num_key_value_heads} key-value heads), ${config.vocab_size} tokens. It answers in the question's language. It
serves to show a method on a laptop; it knows nothing but these sums.

Trained from random weights on generated problems (\`lib/tasks/maths-synthetic.ts\`) with the project's own gradients:

    ${command}

## Held-out problems
${HELD_OUT_PERCENT} % of all problems (operands of a kind, in both languages and every wording) are never trained on; these are drawn from them.

Asked plainly:

${table(plain)}

Through the chat template: ${total(chat, "en", "right")} in English, ${total(chat, "zh", "right")} in Chinese.
Answers in the question's language: ${total(plain, "en", "ownLanguage")} in English, ${total(plain, "zh", "ownLanguage")} in Chinese.
`;
}

async function main(
  folder: string,
  options: { each: number; seed: number; command: string; card?: boolean },
): Promise<void> {
  const model = await loadModel(folder);
  const problems = drawProblems(seeded(options.seed), options.each, "heldout");
  const plain = await measure(model, problems, false);
  const chat = await measure(model, problems, true);
  const text = card(model, plain, chat, options.command);
  if (options.card) writeFileSync(join(folder, "README.md"), text);
  console.log(text);
  await model.close();
}

const program = new Command("evaluate-maths-zh-en")
  .description("Measures the bilingual maths checkpoint on held-out problems.")
  .argument("[folder]", "the checkpoint", "data/models/maths-zh-en")
  .option("--each <n>", "problems of each category at most", Number, 40)
  .option("--seed <n>", "of the problems", Number, 7)
  .option("--command <text>", "how it was trained", "node dist/data/train/maths-zh-en/train.js")
  .option("--card", "write README.md beside the weights")
  .parse();
await main(program.args[0] ?? "data/models/maths-zh-en", program.opts());
