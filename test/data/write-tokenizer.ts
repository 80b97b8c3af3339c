/** Writes the tests' maths tokenizer to a folder, for Python to read: `node dist/test/data/write-tokenizer.js FOLDER`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TokenizerFiles } from "../../data/train/common/words.js";
import { trainTokenizer } from "../../data/train/maths-zh-en/tokenizer.js";
import { seeded } from "../../lib/random.js";
import { drawProblems } from "../../lib/tasks/maths/synthetic.js";

/** A tokenizer of the synthetic problems' words. */
export function testTokenizer(): TokenizerFiles {
  const problems = drawProblems(seeded(1), 60, "train");
  return trainTokenizer(
    problems.flatMap(({ question, sentence, fact }) => [
      `${question.en}\n${sentence.en}\nuser\nassistant\n`,
      `${question.zh}\n${sentence.zh}\n${fact}`,
    ]),
  );
}

function write(folder: string): void {
  const { tokenizer, tokenizerConfig, template, vocabularySize } = testTokenizer();
  mkdirSync(folder, { recursive: true });
  const save = (name: string, value: unknown): void =>
    writeFileSync(join(folder, name), JSON.stringify(value));
  save("tokenizer.json", tokenizer);
  save("tokenizer_config.json", { ...tokenizerConfig, chat_template: template });
  save("config.json", { model_type: "qwen2", vocab_size: vocabularySize });
}

if (import.meta.filename === process.argv[1]) write(process.argv[2]);
