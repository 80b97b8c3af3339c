/** Statements of a caption about its image, token by token, and whether they are true: by annotation, never by the model. */
import { wordsOfTokens } from "../../analysis/index.js";
import {
  type AmberAnnotation,
  type AmberWords,
  amberCounts,
  CAPTION_NOUNS,
  type CaptionScene,
  COLOUR_NAMES,
  captionTruth,
  type VisualTask,
} from "../../tasks/index.js";

/** Facts of an image. */
export interface CaptionTruth {
  readonly objects: AmberAnnotation;
  readonly words: AmberWords;
  /** Where each thing is and of which colour, where that is known. */
  readonly things: readonly { readonly name: string; readonly place: string; readonly colour?: string }[];
}

/** A task with an image to describe. */
export interface CaptionTask extends VisualTask {
  readonly truth: CaptionTruth;
}

/** Kind of a generated token: easily predicted, said of the image and right or wrong, or any other content. */
export type TokenKind = "easy" | "content" | "true" | "hallucinated";

/** Something that a caption says of its image, at the first token of its word. */
export interface Mention {
  readonly token: number;
  readonly aspect: "object" | "place" | "colour";
  readonly wrong: boolean;
  /** Of a place or a colour the token of the thing that it is given to. */
  readonly about?: number;
  /** Of a wrong word those that would have been right; of a right one the wrong words of its kind, where they are few. */
  readonly rivals: readonly string[];
}

const PLACES = ["left", "middle", "right"] as const;

/** Words that say little: articles, conjunctions, auxiliaries. Prepositions are content, as the document has it. */
const CLOSED: ReadonlySet<string> = new Set(
  (
    "a an the this that these those there and or but nor so if which is are was were be been being has have had do does did " +
    "can could will would may might should must to of not"
  ).split(" "),
);

/** The truth of a synthetic scene. */
export function sceneTruth(scene: CaptionScene): CaptionTruth {
  return {
    objects: captionTruth(scene),
    words: { association: CAPTION_NOUNS },
    things: scene.things.map(({ name, column, colour }) => ({ name, place: PLACES[column], colour })),
  };
}

/** Everything that a caption says of its image. @param pieces the tokens' own texts. */
export function mentionsOf(pieces: readonly string[], truth: CaptionTruth): Mention[] {
  const words = wordsOfTokens(pieces);
  const said: Mention[] = [];
  const named = new Set<string>();
  let sentence: { readonly token: number; readonly word: string }[] = [];
  words.forEach((found, token) => {
    if (!found && /[.!?\n]/.test(pieces[token])) sentence = [];
    if (!found?.first) return;
    const { word } = found;
    const { mentioned, hallucinated } = amberCounts(word, truth.objects, truth.words);
    if (mentioned.length === 0) {
      sentence.push({ token, word });
      return;
    }
    const wrong = hallucinated.length > 0;
    const unnamed = truth.objects.truth.filter((object) => !named.has(object) && object !== word);
    said.push({ token, aspect: "object", wrong, rivals: [...new Set(unnamed)] });
    named.add(word);
    const thing = truth.things.find(({ name }) => name === word);
    if (thing) said.push(...attributesOf(sentence, thing, token));
    sentence = [];
  });
  return said.sort((a, b) => a.token - b.token);
}

/** The place and the colour that a sentence gave to a thing that is there. */
function attributesOf(
  sentence: readonly { readonly token: number; readonly word: string }[],
  { place, colour }: CaptionTruth["things"][number],
  about: number,
): Mention[] {
  const last = (known: readonly string[]) => sentence.findLast(({ word }) => known.includes(word));
  const [where, tint] = [last(PLACES), last(COLOUR_NAMES)];
  const found: Mention[] = [];
  if (where) {
    const wrong = where.word !== place;
    const rivals = wrong ? [place] : PLACES.filter((other) => other !== place);
    found.push({ token: where.token, aspect: "place", wrong, about, rivals });
  }
  if (tint && colour !== undefined) {
    const wrong = tint.word !== colour;
    found.push({ token: tint.token, aspect: "colour", wrong, about, rivals: wrong ? [colour] : [] });
  }
  return found;
}

/** Each token's kind. @param prompt words copied from it are easily predicted. */
export function kindsOf(pieces: readonly string[], said: readonly Mention[], prompt: string): TokenKind[] {
  const asked = new Set(prompt.toLowerCase().match(/\p{L}+/gu));
  return wordsOfTokens(pieces).map((found, token) => {
    const mention = said.find((own) => own.token === token);
    if (mention) return mention.wrong ? "hallucinated" : "true";
    return !found?.first || CLOSED.has(found.word) || asked.has(found.word) ? "easy" : "content";
  });
}

/** Wrong share of what a caption says of its image; a caption that says nothing of it is wrong. */
export function wrongShare(said: readonly Mention[]): number {
  return said.length === 0 ? 1 : said.filter(({ wrong }) => wrong).length / said.length;
}

/** Word overlap of two texts (Dice): `2|A∩B| / (|A| + |B|)` of their words with repeats; 1 of two empty ones. */
export function wordOverlap(a: string, b: string): number {
  const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const left = wordsOf(b);
  const own = wordsOf(a);
  const size = own.length + left.length;
  const common = own.filter((word) => {
    const at = left.indexOf(word);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  }).length;
  return size === 0 ? 1 : (2 * common) / size;
}
