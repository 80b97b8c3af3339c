/**
 * The merges that a SentencePiece vocabulary implies: every way to cut a token into two others, best token
 * first, and of equal ones the longer left part first. As `generate_merges` of transformers.
 * @param scores by token; a higher one merges earlier
 */
export function mergesOf(tokens: readonly string[], scores: ArrayLike<number>): [string, string][] {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    ids.set(token, id);
  });
  const merges: Merge[] = [];
  for (const [token, id] of ids) {
    const cuts: Merge[] = [];
    for (let at = 1; at < token.length; at++) {
      const left = token.slice(0, at);
      const right = token.slice(at);
      const leftId = ids.get(left);
      const rightId = ids.get(right);
      if (leftId === undefined || rightId === undefined) continue;
      const lengths = [characters(left), characters(right)] as const;
      cuts.push({ left, right, leftId, rightId, lengths, score: scores[id] });
    }
    cuts.sort((a, b) => a.leftId - b.leftId || a.rightId - b.rightId);
    for (const cut of cuts) merges.push(cut);
  }
  merges.sort((a, b) => b.score - a.score || b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1]);
  return merges.map(({ left, right }) => [left, right]);
}

interface Merge {
  readonly left: string;
  readonly right: string;
  readonly leftId: number;
  readonly rightId: number;
  readonly lengths: readonly [number, number];
  readonly score: number;
}

/** Length in Unicode characters: one outside the basic plane is two units of a string. */
function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) count--;
  return count;
}
