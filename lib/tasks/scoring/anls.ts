/**
 * Average normalised Levenshtein similarity of one question: 1 − distance / length of the longer text, for the accepted
 * answer that is nearest, and 0 below the threshold (Biten et al. 2019, https://arxiv.org/abs/1905.13648, equation 1).
 * Case and runs of white space are ignored. As in the challenge's script a similarity of exactly the threshold counts;
 * the paper's formula leaves it out.
 */
export function anls(prediction: string, answers: readonly string[], threshold = 0.5): number {
  const given = plain(prediction);
  const best = Math.max(0, ...answers.map((answer) => similarity(given, plain(answer))));
  return best < threshold ? 0 : best;
}

const plain = (text: string): string => text.trim().toLowerCase().split(/\s+/).join(" ");

function similarity(a: string, b: string): number {
  const [x, y] = [[...a], [...b]];
  const length = Math.max(x.length, y.length);
  return length === 0 ? 1 : 1 - levenshtein(x, y) / length;
}

function levenshtein(a: readonly string[], b: readonly string[]): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(previous[j] + 1, current[j - 1] + 1, replaced));
    }
    previous = current;
  }
  return previous[b.length];
}
