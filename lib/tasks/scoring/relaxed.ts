/**
 * ChartQA's relaxed accuracy of one answer: numbers within 5 % of the true one count, all else must be equal but for case
 * (Masry et al. 2022, https://aclanthology.org/2022.findings-acl.177, section 5.1). As in the scorer in common use, `12%`
 * reads as 0.12, thousands separators are not read, and a true value of 0 must be matched as text.
 */
export function relaxedMatch(prediction: string, answer: string, tolerance = 0.05): boolean {
  const given = numberIn(prediction);
  const truth = numberIn(answer);
  if (given !== undefined && truth) return Math.abs(given - truth) / Math.abs(truth) <= tolerance;
  return prediction.trim().toLowerCase() === answer.trim().toLowerCase();
}

function numberIn(text: string): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(%*)$/i.exec(text.trim());
  if (!match) return undefined;
  return match[2] ? Number(match[1]) / 100 : Number(match[1]);
}
