/** What a model expects of a text's own tokens, without the logits of its vocabulary. */
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, integers, type OptionChecks, record, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../batch/index.js";
import type { Edits } from "../edits/index.js";
import { HEAD } from "../families/index.js";
import { pickColumns, readLogProbs, rowsTogether } from "../forward/index.js";
import { matchHooks } from "../hooks/index.js";
import type { Model } from "../model.js";

/** Options of {@link tokenLogProbs}. */
export interface TokenLogProbsOptions extends TaskOptions {
  readonly edits?: Edits;
  /** Further tokens whose log-probability is read at every column. */
  readonly tokens?: readonly number[];
  /** How many of the likeliest tokens are read at every column (default 0). */
  readonly top?: number;
}

const TOKEN_LOG_PROBS_OPTIONS: OptionChecks<TokenLogProbsOptions> = {
  ...TASK_OPTIONS,
  edits: record,
  tokens: integers,
  top: integer(),
};

/**
 * Log-probabilities, in nats, under the distribution that the token of each column was to be drawn from, given the tokens
 * before it. NaN at a row's first token, which nothing comes before, and at padding.
 */
export interface TokenLogProbs {
  /** (batch, time): of the column's own token. Its negative is the loss of the token. */
  readonly logProb: Tensor;
  /** (batch, time, tokens): of `tokens`. */
  readonly tokens: Tensor;
  /** (batch, time, top): ids, the likeliest first. */
  readonly topIds: Tensor;
  /** (batch, time, top) */
  readonly topLogProb: Tensor;
}

/**
 * Log-probabilities of a batch's own tokens (`loss_per_token` of other libraries, with its sign changed), and on request
 * of others and of the likeliest ones. They are computed inside the graph of the language head, some columns at a time, so
 * that logits (batch, time, vocab_size) are never in memory.
 * @example
 * const { logProb } = await tokenLogProbs(model, await model.prepare(prompt));
 * @throws ModalscopeError for a token outside the vocabulary, and for edits of the final norm or the logits
 */
export async function tokenLogProbs(
  model: Model,
  batch: Batch,
  options: TokenLogProbsOptions = {},
): Promise<TokenLogProbs> {
  checkOptions("tokenLogProbs", options, TOKEN_LOG_PROBS_OPTIONS);
  const { edits = {}, tokens = [], top = 0, onProgress, signal } = options;
  checkEdits(model, edits);
  const { residual } = await model.run(batch, { edits, logits: "none", signal });
  const found = unread(batch, tokens.length, top);
  const columns = batch.tokenPositions.flatMap((own, row) =>
    own.slice(1).map((column, i) => ({ row, column, before: own[i] })),
  );
  const width = 1 + tokens.length;
  const together = rowsTogether(model.engine);
  for (let from = 0; from < columns.length; from += together) {
    signal?.throwIfAborted();
    const some = columns.slice(from, from + together);
    const read = await readLogProbs(model.engine, statesBefore(residual as Tensor, some), {
      ids: some.map(({ row, column }) => [batch.inputIds[row * batch.seqLength + column], ...tokens]),
      top,
    });
    some.forEach(({ row, column }, i) => {
      const at = row * batch.seqLength + column;
      const own = read.logProb.data.subarray(i * width, (i + 1) * width);
      found.logProb.data[at] = own[0];
      found.tokens.data.set(own.subarray(1), at * tokens.length);
      found.topIds.data.set(read.topIds.data.subarray(i * top, (i + 1) * top), at * top);
      found.topLogProb.data.set(read.topLogProb.data.subarray(i * top, (i + 1) * top), at * top);
    });
    onProgress?.(from + some.length, columns.length, "tokens");
  }
  return found;
}

/** The readings are of the head as it is. */
function checkEdits({ engine: { hooks } }: Model, edits: Edits): void {
  const edited = Object.keys(edits).flatMap((pattern) => matchHooks(hooks, pattern));
  const late = edited.find(({ piece }) => piece === HEAD);
  if (late === undefined) return;
  throw new ModalscopeError(
    `tokenLogProbs cannot take an edit of "${late.name}".`,
    "It reads the final norm and the head as they are.",
    "Run the model with `logits` at the columns that matter.",
  );
}

/** States (columns, hidden_size) that the tokens of these columns are predicted from. */
function statesBefore(residual: Tensor, columns: readonly { row: number; before: number }[]): Tensor {
  const [size, time, hidden] = residual.shape;
  const flat = { data: residual.data, shape: [1, size * time, hidden] };
  const { data } = pickColumns(flat, [columns.map(({ row, before }) => row * time + before)]);
  return { data, shape: [columns.length, hidden] };
}

function unread({ size, seqLength }: Batch, tokens: number, top: number): TokenLogProbs {
  const empty = (...last: number[]): Tensor => {
    const shape = [size, seqLength, ...last];
    const count = shape.reduce((all, length) => all * length, 1);
    return { data: new Float32Array(count).fill(Number.NaN), shape };
  };
  return {
    logProb: empty(),
    tokens: empty(tokens),
    topIds: empty(top),
    topLogProb: empty(top),
  };
}
