/** The final norm and the language head, where they are asked for. */
import { ModalscopeError } from "../../errors.js";
import { type Tensor, zerosLike } from "../../tensor.js";
import { fillPadding, type Pass, type Positions, resolvePositions } from "../batch/index.js";
import { type RunContext, runHead, runPiece, runSession, withPiece } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { frozenInput } from "../graph/index.js";
import { checkLogits } from "./check-finite.js";

/** Name of the hook that the head's matrix is applied to. */
export const NORMALIZED = "ln_final.hook_normalized";

/** True where a hook of the final norm is captured or edited. */
export function touchesHead({ engine: { hooks }, plan, recorder }: RunContext): boolean {
  return hooks.some((h) => h.piece === HEAD && (plan.has(h.name) || recorder.wants(h.name)));
}

/**
 * Logits (batch, n, vocab_size) at some columns of a residual stream (batch, time, hidden_size); zero at padding.
 * The head's matrix is applied at these columns only, whatever is captured or edited before it.
 */
export async function logitsAt(
  context: RunContext,
  pass: Pass,
  x: Tensor,
  positions: Positions,
): Promise<{ logits: Tensor; logitPositions: number[][] }> {
  if (positions === "all") {
    const all = Array.from({ length: pass.seqLength }, (_, i) => pass.start + i);
    const logits = await runHead(context, pass, x);
    checkLogits(context, logits, pass.tokenPositions[0][0] - pass.start);
    fillPadding(logits.data, logits.shape, 1, pass, 0);
    return { logits, logitPositions: new Array(pass.size).fill(all) };
  }
  const logitPositions = logitPositionsOf(positions, pass);
  const picked = (from: Tensor): Tensor => pickColumns(from, logitPositions, pass.start);
  if (!touchesHead(context)) {
    const logits = await runHead(context, pass, picked(x));
    checkLogits(context, logits, 0);
    return { logits, logitPositions };
  }
  const { engine } = context;
  const feeds = { x: picked(x), [frozenInput(NORMALIZED)]: picked(await finalNorm(context, pass, x)) };
  const { out } = await withPiece(engine, HEAD, { frozen: [NORMALIZED] }, (session) =>
    runSession(engine, session, feeds, ["out"]),
  );
  checkLogits(context, out, 0);
  return { logits: out, logitPositions };
}

/**
 * The columns at which logits are asked for.
 * @throws ModalscopeError for a column outside the batch or at padding, no columns, or rows of different lengths
 */
export function logitPositionsOf(positions: Exclude<Positions, "all">, pass: Pass): number[][] {
  const columns = resolvePositions(positions, { ...pass, seqLength: pass.start + pass.seqLength });
  if (columns.every((row) => row.length > 0 && row.length === columns[0].length)) return columns;
  throw new ModalscopeError(
    `Logits are asked for at ${columns.map((row) => row.length).join(", ")} positions.`,
    "There must be some, and as many in every row.",
    "Repeat a position, or take them one row at a time.",
  );
}

/** The first column that logits are asked for at; undefined where every column is. */
export function firstLogitPosition(positions: Positions | "none", pass: Pass): number | undefined {
  if (positions === "all" || positions === "none") return undefined;
  return Math.min(...logitPositionsOf(positions, pass).flat());
}

/** The final norm's output before its gain, with the captures and edits up to there. */
export async function finalNorm(context: RunContext, pass: Pass, x: Tensor): Promise<Tensor> {
  const options = { outputs: [NORMALIZED], variant: { only: "hookPoints" } } as const;
  return (await runPiece(context, HEAD, { x }, pass, options))[NORMALIZED];
}

/** Chosen columns of (batch, time, width), whose first column is `start`; as many in every row. */
export function pickColumns(x: Tensor, columns: readonly (readonly number[])[], start = 0): Tensor {
  const [size, time, width] = x.shape;
  const n = columns[0].length;
  const data = zerosLike(x.data, size * n * width);
  for (let b = 0; b < size; b++) {
    columns[b].forEach((column, i) => {
      const from = (b * time + column - start) * width;
      data.set(x.data.subarray(from, from + width), (b * n + i) * width);
    });
  }
  return { data, shape: [size, n, width] };
}
