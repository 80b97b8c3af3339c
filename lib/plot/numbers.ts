/** Measured numbers as text, for tables and sentences. */
import { cellText } from "./show/table.js";

interface Measured {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
}

/** "42%" */
export const formatPercent = (share: number): string => `${Math.round(100 * share)}%`;

/** "12/20 = 60% [39%, 78%]": a share with its interval and the number of samples. */
export const formatShare = ({ estimate, low, high, n }: Measured & { readonly n: number }): string =>
  `${Math.round(estimate * n)}/${n} = ${formatPercent(estimate)} [${formatPercent(low)}, ${formatPercent(high)}]`;

/** "0.42 [0.31, 0.55]": a measured value with its interval. */
export const formatInterval = ({ estimate, low, high }: Measured, digits = 3): string =>
  `${cellText(estimate, digits)} [${cellText(low, digits)}, ${cellText(high, digits)}]`;

/** "p = 0.012", or "p < 0.001". */
export const formatP = (p: number): string => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);
