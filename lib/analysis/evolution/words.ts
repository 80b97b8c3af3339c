/** The word that a token is part of. */
export interface WordOfToken {
  /** In lower case. */
  readonly word: string;
  /** True of the first token of the word; the later ones are easily predicted from it. */
  readonly first: boolean;
}

/**
 * For each token the word that it is part of; undefined for spaces and punctuation. A word is letters and digits, with
 * hyphens and apostrophes inside.
 * @param pieces the tokens' own texts: joined they are the whole text.
 */
export function wordsOfTokens(pieces: readonly string[]): (WordOfToken | undefined)[] {
  const words = [...pieces.join("").matchAll(/[\p{L}\p{N}]+(?:[-'’][\p{L}\p{N}]+)*/gu)].map((found) => ({
    word: found[0].toLowerCase(),
    start: found.index,
    end: found.index + found[0].length,
  }));
  let end = 0;
  return pieces.map((piece) => {
    const start = end;
    end += piece.length;
    const within = words.find((word) => word.start < end && word.end > start);
    return within && { word: within.word, first: within.start >= start };
  });
}
