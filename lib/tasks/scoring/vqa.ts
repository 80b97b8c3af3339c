import { ModalscopeError } from "../../errors.js";

/**
 * VQA accuracy of one question, as TextVQA is scored: for each annotator min(1, how many of the *others* gave this answer
 * / 3), averaged over the annotators (https://visualqa.org/evaluation.html). Prediction and annotations are normalised.
 * With ten annotators of whom k agree this is 0, 0.3, 0.6, 0.9, 1 for k = 0, 1, 2, 3, 4 and more.
 * @throws ModalscopeError for fewer than four annotators, of whom no answer could be fully right.
 */
export function vqaAccuracy(prediction: string, annotators: readonly string[]): number {
  if (annotators.length < 4) {
    throw new ModalscopeError(
      `VQA accuracy needs the answers of several annotators, and there are ${annotators.length}.`,
      "An answer counts in full when three others gave it.",
      "Give all ten, repeats included.",
    );
  }
  const given = normaliseVqaAnswer(prediction);
  const answers = annotators.map(normaliseVqaAnswer);
  const agreeing = answers.filter((answer) => answer === given).length;
  const scores = answers.map((answer) => Math.min(1, (agreeing - (answer === given ? 1 : 0)) / 3));
  return scores.reduce((a, b) => a + b, 0) / scores.length;
}

/**
 * An answer as the VQA evaluation compares it: lower case, without commas, question marks, most punctuation, points that
 * are not decimal and articles; number words up to ten as digits; contractions with their apostrophe; `'s` as a word.
 * Follows EvalAI's processor for TextVQA (facebookresearch/mmf, `EvalAIAnswerProcessor`), its odd cases included: a
 * punctuation mark next to a space vanishes, one inside a word becomes a space.
 */
export function normaliseVqaAnswer(answer: string): string {
  const words = withoutPunctuation(answer.toLowerCase().replace(/[,?]/g, "").replaceAll("'s", " 's").trim());
  return words
    .split(/\s+/)
    .map((word) => NUMBERS.get(word) ?? word)
    .filter((word) => word !== "" && !ARTICLES.has(word))
    .map((word) => CONTRACTIONS.get(word) ?? word)
    .join(" ");
}

function withoutPunctuation(text: string): string {
  let out = text.replace(/[\n\t]/g, " ").trim();
  const original = out;
  for (const mark of PUNCTUATION) {
    const loose = original.includes(`${mark} `) || original.includes(` ${mark}`);
    out = out.replaceAll(mark, loose ? "" : " ");
  }
  return out.replace(/\.(?!\d)/g, "");
}

const PUNCTUATION = [...';/[]"{}()=+\\_-><@`!'];
const ARTICLES = new Set(["a", "an", "the"]);
const NUMBERS = new Map(
  ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"].map(
    (word, i) => [word, String(i)] as const,
  ),
).set("none", "0");

/** The evaluation's list of contractions without their apostrophes, put together from their parts. */
const CONTRACTIONS: ReadonlyMap<string, string> = contractions();

function contractions(): Map<string, string> {
  const map = new Map<string, string>();
  const add = (right: string, ...wrong: string[]) => {
    for (const form of wrong) map.set(form, right);
  };
  const NOT = `ai are ca could did does do had has have is might must need ought sha should was were wo would`;
  for (const stem of NOT.split(" ")) add(`${stem}n't`, `${stem}nt`);
  for (const stem of "could had might should would".split(" "))
    add(`${stem}n't've`, `${stem}nt've`, `${stem}n'tve`);
  for (const stem of "he it she somebody someone something there they we who you".split(" "))
    add(`${stem}'d've`, `${stem}d've`, `${stem}'dve`);
  const endings = {
    ve: "could might must not should they we what where who would you",
    d: "he how it someone something there they where who you",
    s: "he how somebody someone that there what when where who why",
    ll: "how it somebody someone something they what who why you",
    re: "there they what why you",
  };
  for (const [ending, stems] of Object.entries(endings)) {
    for (const stem of stems.split(" ")) add(`${stem}'${ending}`, `${stem}${ending}`);
  }
  add("somebodyd", "somebody'd");
  add("ma'am", "maam");
  add("o'clock", "oclock");
  add("'twas", "twas");
  add("'ow's'at", "ow's'at", "'ows'at", "'ow'sat");
  add("y'all", "yall");
  add("y'all'll", "yall'll", "y'allll");
  add("y'all'd've", "yall'd've", "y'alld've", "y'all'dve");
  return map;
}
