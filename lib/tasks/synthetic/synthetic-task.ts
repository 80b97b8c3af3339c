import type { Random } from "../../random.js";
import type { Split } from "../split.js";
import type { Grade, Hop, Raster, ScoringRule } from "../visual-task.js";

/** A question with its one answer; all in lower case. */
export interface Question {
  readonly prompt: string;
  readonly answer: string;
  /** The steps to the answer where it takes several; the last of them is the question itself. */
  readonly hops?: readonly Hop[];
}

/** Question about one thing after another; each entry names the thing and says what is true of it. */
export interface Listing {
  readonly prompt: string;
  readonly entries: readonly (readonly [of: string, is: string])[];
}

/**
 * A kind of synthetic image, and what is asked about it. A scene is plain data and says everything: the image,
 * the passage and the answers are functions of it, and it becomes the task's annotation.
 */
export interface SyntheticTask<Scene> {
  readonly name: string;
  /** The smallest side, in pixels, at which a person can read its images. */
  readonly minImageSize: number;
  /** The types of question, with how hard each is. */
  readonly types: Readonly<Record<string, Grade>>;
  /** Types that are never trained on. */
  readonly heldOutTypes?: readonly string[];
  scoring(type: string): ScoringRule;
  /** Every word of its prompts, passages and answers; digits, numbers and punctuation among them. */
  readonly vocabulary: readonly string[];
  /** Draws a scene on which a question of the type can be asked. */
  scene(random: Random, type: string, split: Split): Scene;
  question(scene: Scene, type: string, random: Random, split: Split): Question;
  /** All types of question that can be asked about a scene, whichever it was drawn for; only that one unless given. */
  questionTypes?(scene: Scene): readonly string[];
  /** Lists of facts that can be looked up in a scene, one thing at a time; none unless given. */
  listings?(scene: Scene, random: Random): readonly Listing[];
  /** The part of a scene that its image shows, by which it falls into a split; the whole scene unless given. */
  imageContent?(scene: Scene): unknown;
  /** Kind of the image, in a word: a class that a probe may look for. */
  category(scene: Scene): string;
  /** The image, `size` pixels wide and high. */
  render(scene: Scene, size: number): Raster;
  /** Description of the image, in words: enough to answer every question without it. */
  textDescription(scene: Scene): string;
}

/** A question that is answered by its hops; the last of them is the question itself. */
export function throughHops(...hops: readonly Hop[]): Question {
  const { prompt, answer } = hops[hops.length - 1];
  return hops.length === 1 ? { prompt, answer } : { prompt, answer, hops };
}

/** Words, numbers and punctuation marks of a text, as a word-level tokenizer parts them. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z]+|\d+|[^\sa-z\d]/g) ?? [];
}

/** The different words of some texts, in order of first use. */
export function wordSet(...texts: readonly string[]): string[] {
  return [...new Set(texts.flatMap(wordsOf))];
}

/** The numbers from one to another, both included, as words of a vocabulary. */
export function numerals(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
}

/** Draws `count` different items. */
export function some<T>(random: Random, items: readonly T[], count: number): T[] {
  return random.shuffle(items).slice(0, count);
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(items: readonly string[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** A noun with its article. */
export function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}
