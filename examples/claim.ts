/** Statistics: is one model better than another on the same questions? An interval and an exact test. */
import { loadModel } from "modalscope";
import { mcnemar, pairedProportions, wilson } from "modalscope/analysis";
import { formatP, formatShare } from "modalscope/plot";
import { grade, loadMaths, plainPrompt } from "modalscope/tasks";

const problems = loadMaths("maths-zh-en-templates").slice(0, 40);
const model = await loadModel("maths-zh-en");
const solvedIn = async (language: "en" | "zh") => {
  const prompts = problems.map((problem) => plainPrompt(problem, language));
  const texts = await model.generate(prompts, { maxNewTokens: 12 });
  return texts.map(({ text }, i) => grade(text, problems[i].answer).correct);
};
const [english, chinese] = [await solvedIn("en"), await solvedIn("zh")];
const count = (flags: readonly boolean[]) => flags.filter(Boolean).length;

console.log(`English: ${formatShare(wilson(count(english), english.length))}`);
console.log(`Chinese: ${formatShare(wilson(count(chinese), chinese.length))}`);
const { firstOnly, secondOnly } = pairedProportions(english, chinese);
console.log(
  `only in English ${firstOnly}, only in Chinese ${secondOnly}; McNemar ${formatP(mcnemar(firstOnly, secondOnly))}`,
);
await model.close();
