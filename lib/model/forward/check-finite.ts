/** Values that are no numbers: NaN and infinity go through all later blocks, and the text of NaN logits is that of token 0. */
import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { warn } from "../../warnings.js";
import type { Pass } from "../batch/index.js";
import type { Engine, RunContext } from "../engine/index.js";

/** Where the weights lie that may have made a value: a block of the language model, or anything outside these. */
type Place = number | "outside the blocks";

/** Warned of once: a sweep would say it at every point. */
const warned = new WeakSet<Engine>();

/**
 * Sees that the residual stream (batch, time, hidden_size) is finite at its tokens.
 * @param hook name of the stream there
 * @throws ModalscopeError naming the weight, where one of those that made it holds NaN or infinity
 */
export function checkStream(context: RunContext, hook: string, place: Place, x: Tensor, pass: Pass): void {
  if (allFinite(x.data)) return;
  const width = x.shape[2];
  for (const [row, columns] of pass.tokenPositions.entries()) {
    for (const column of columns) {
      const from = (row * pass.seqLength + column - pass.start) * width;
      if (allFinite(x.data.subarray(from, from + width))) continue;
      report(context, `"${hook}" at row ${row}, position ${column}`, place);
      return;
    }
  }
}

/**
 * The same for logits (batch, n, vocab_size): one position shows what all have, as they share the head's weights.
 * @param column of the first row, which is no padding there
 */
export function checkLogits(context: RunContext, { data, shape: [, , width] }: Tensor, column: number): void {
  if (!allFinite(data.subarray(column * width, (column + 1) * width)))
    report(context, "the logits", "outside the blocks");
}

/** Sums of 0 · x: quicker than to look at each value, and on four of them at once as no sum waits for another. */
function allFinite(data: Float32Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < data.length; i += 4) {
    a += data[i] * 0;
    b += data[i + 1] * 0;
    c += data[i + 2] * 0;
    d += data[i + 3] * 0;
  }
  for (; i < data.length; i++) a += data[i] * 0;
  return a + b + c + d === 0;
}

function report({ engine, plan }: RunContext, what: string, place: Place): void {
  checkWeightValues(engine, what, place);
  if (warned.has(engine)) return;
  warned.add(engine);
  const edits = [...plan.keys()];
  const shown = edits.slice(0, 3).join(", ") + (edits.length > 3 ? " …" : "");
  warn(
    `A run has NaN or infinity in ${what}.`,
    `No weight there does: ${edits.length > 0 ? `the edits (${shown}) or` : "the stream that it was given, or"} an overflow made it.`,
    "What comes after it is no number either. This is said once for each loaded model.",
  );
}

function checkWeightValues({ checkpoint, family }: Engine, what: string, place: Place): void {
  const [prefix] = family.names.layer(0).split("0");
  const own = typeof place === "number" ? family.names.layer(place) : undefined;
  for (const { name, shape } of checkpoint.weights.values()) {
    if (own === undefined ? name.startsWith(prefix) : !name.startsWith(own)) continue;
    const values = checkpoint.read(name);
    if (allFinite(values)) continue;
    const bad = values.findIndex((value) => !Number.isFinite(value));
    const count = values.reduce((n, value) => n + (Number.isFinite(value) ? 0 : 1), 0);
    throw new ModalscopeError(
      `The weight "${name}" holds ${count} ${count > 1 ? "values that are" : "value that is"} NaN or infinite, the first (${values[bad]}) at [${placeOf(bad, shape)}].`,
      `A run has them in ${what}; nothing after it can be computed.`,
      `The file is damaged, or was written so (float16 ends at 65504): get ${checkpoint.path} again, or convert it again from its source.`,
    );
  }
}

/** Indices of the nth element of a tensor. */
function placeOf(n: number, shape: readonly number[]): string {
  const places: number[] = [];
  let rest = n;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    places.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return places.join(", ");
}
