/** Whether this process runs a `*.slow.test.ts`, which may import another test for its many rounds. */
export const isSlow: boolean = process.argv[1]?.endsWith(".slow.test.js") ?? false;

/** Rounds of a test: few in `npm test`, many in `npm run test:slow`, or as MODALSCOPE_ROUNDS says. */
export function rounds(few: number, many: number): number {
  return Number(process.env.MODALSCOPE_ROUNDS ?? (isSlow ? many : few));
}
