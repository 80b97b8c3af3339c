import { editDistance } from "../../edit-distance.js";

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
  return length === 0 ? 1 : 1 - editDistance(x, y) / length;
}
