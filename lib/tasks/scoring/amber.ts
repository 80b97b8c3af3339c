/** AMBER's scores of descriptions (Wang et al. 2023, https://arxiv.org/abs/2311.07397; its `inference.py`). */
import { own } from "../../own.js";

/** Objects that an image holds, and objects that one may wrongly expect in it. */
export interface AmberAnnotation {
  readonly truth: readonly string[];
  readonly hallu: readonly string[];
}

/** The words that are scored. */
export interface AmberWords {
  /** Every noun that counts, with those that mean the same or less: `relation.json`. */
  readonly association: Readonly<Record<string, readonly string[]>>;
  /** Nouns that are never wrong: `safe_words.txt`. */
  readonly safe?: readonly string[];
  /**
   * True when two nouns mean the same. AMBER's script asks spaCy's vectors (similarity above 0.8); without this, only
   * equal and associated nouns do, so CHAIR comes out higher and Cover lower than the script's.
   */
  similar?(a: string, b: string): boolean;
}

/** Counts of the nouns of one description. */
export interface AmberCounts {
  /** Nouns that count, in order, repeats included. */
  readonly mentioned: readonly string[];
  /** Those that are not in the image. */
  readonly hallucinated: readonly string[];
  /** For each entry of `truth`, whether it was named. */
  readonly covered: readonly boolean[];
  /** For each entry of `hallu`, whether it was named. */
  readonly fancied: readonly boolean[];
}

/** AMBER's scores of descriptions. */
export interface AmberScores {
  /** Share of the nouns, over all descriptions, that are not in their image. */
  readonly chair: number;
  /** Share of the annotated objects that are named. */
  readonly cover: number;
  /** Share of descriptions with at least one such noun. */
  readonly hal: number;
  /** Share of the annotated expectations that are named: what the script reports. */
  readonly cog: number;
  /** Named expectations as a share of the nouns, as the paper defines Cog. */
  readonly cogOfMentions: number;
  /** Number of descriptions. */
  readonly count: number;
}

/** Reads one description. Its words count when they, or their singular, are among the association's nouns. */
export function amberCounts(
  description: string,
  annotation: AmberAnnotation,
  words: AmberWords,
): AmberCounts {
  const { association, safe = [], similar } = words;
  // In the list's own spelling, found in whatever case: it has "TV".
  const nouns = new Map(
    [...Object.keys(association), ...Object.values(association).flat()].map((noun) => [
      noun.toLowerCase(),
      noun,
    ]),
  );
  const mentioned = (description.toLowerCase().match(/[a-z]+(?:-[a-z]+)*/g) ?? []).flatMap((word) =>
    singulars(word)
      .flatMap((form) => nouns.get(form) ?? [])
      .slice(0, 1),
  );
  const truth = meanings(annotation.truth, association);
  const hallu = meanings(annotation.hallu, association);
  const covered = annotation.truth.map(() => false);
  const fancied = annotation.hallu.map(() => false);
  const hallucinated = mentioned.filter((noun) => {
    if (safe.includes(noun)) return false;
    const meant = truth.find(([word]) => word === noun);
    if (meant) {
      covered[meant[1]] = true;
      return false;
    }
    // As in the script, the same noun counts and so does the first that is alike.
    for (const same of [(word: string) => word === noun, (word: string) => similar?.(noun, word) ?? false]) {
      const expected = hallu.find(([word]) => same(word));
      if (expected) fancied[expected[1]] = true;
    }
    const near = truth.find(([word]) => similar?.(noun, word) ?? false);
    if (near) covered[near[1]] = true;
    return near === undefined;
  });
  return { mentioned, hallucinated, covered, fancied };
}

/** AMBER's scores, each a part of a whole. */
export type AmberScore = "chair" | "cover" | "hal" | "cog" | "cogOfMentions";

/** Numerator and denominator that one description adds to each score. */
export function amberParts({
  mentioned,
  hallucinated,
  covered,
  fancied,
}: AmberCounts): Record<AmberScore, readonly [part: number, whole: number]> {
  const yes = (flags: readonly boolean[]): number => flags.filter(Boolean).length;
  return {
    chair: [hallucinated.length, mentioned.length],
    cover: [yes(covered), covered.length],
    hal: [hallucinated.length > 0 ? 1 : 0, 1],
    cog: [yes(fancied), fancied.length],
    cogOfMentions: [yes(fancied), mentioned.length],
  };
}

/** The scores over many descriptions, each a share from 0 to 1; NaN where there is nothing to count. */
export function amberScores(
  descriptions: readonly { readonly text: string; readonly annotation: AmberAnnotation }[],
  words: AmberWords,
): AmberScores {
  const parts = descriptions.map(({ text, annotation }) => amberParts(amberCounts(text, annotation, words)));
  const score = (name: AmberScore): number => {
    const [part, whole] = [0, 1].map((of) => parts.reduce((sum, own) => sum + own[name][of], 0));
    return part / whole;
  };
  return {
    chair: score("chair"),
    cover: score("cover"),
    hal: score("hal"),
    cog: score("cog"),
    cogOfMentions: score("cogOfMentions"),
    count: parts.length,
  };
}

/** Each noun that stands for one of the objects, with the object's index: associated ones first, as the script has them. */
function meanings(
  objects: readonly string[],
  association: AmberWords["association"],
): (readonly [noun: string, index: number])[] {
  const associated = objects.flatMap((object, i) =>
    (association[object] ?? []).map((word) => [word, i] as const),
  );
  return [...associated, ...objects.map((object, i) => [object, i] as const)];
}

const IRREGULAR: Readonly<Record<string, string>> = {
  men: "man",
  women: "woman",
  children: "child",
  feet: "foot",
  teeth: "tooth",
  mice: "mouse",
  geese: "goose",
  sheep: "sheep",
  knives: "knife",
  leaves: "leaf",
  shelves: "shelf",
};

/** A word and what it may be the plural of, likeliest first. */
function singulars(word: string): string[] {
  const forms = [word];
  const irregular = own(IRREGULAR, word);
  if (irregular) forms.push(irregular);
  if (word.endsWith("ies")) forms.push(`${word.slice(0, -3)}y`);
  if (word.endsWith("s")) forms.push(word.slice(0, -1));
  if (word.endsWith("es")) forms.push(word.slice(0, -2));
  return forms;
}
