import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, type OptionChecks, oneOf } from "../../options.js";
import type { ProcessedImage } from "../images/index.js";

/** Prompts as the model takes them: token ids with padding, and where each token stands. */
export interface Batch {
  /** Number of rows. */
  readonly size: number;
  /** Length of the rows, padding included. */
  readonly seqLength: number;
  /** (batch, time) */
  readonly inputIds: Int32Array;
  /** (batch, time): 1 for a token, 0 for padding. */
  readonly attentionMask: Uint8Array;
  /** (batch, time): the rotary position id of each token, 0 at padding; (3, batch, time) for MRoPE (temporal, height, width). */
  readonly positionIds: Int32Array;
  /** For each row, the position id of the token that comes next. */
  readonly nextPositionIds: readonly number[];
  /** For each row, the positions (columns of the batch) that hold tokens, in order. */
  readonly tokenPositions: readonly (readonly number[])[];
  /** For each row, the column of the last token. */
  readonly last: readonly number[];
  /**
   * For each row, the columns of image tokens, of the text that stands in an image's place, of the question's text, of
   * the answer's if one is given, and of special tokens.
   */
  readonly visual: readonly (readonly number[])[];
  readonly passage: readonly (readonly number[])[];
  readonly question: readonly (readonly number[])[];
  readonly answer: readonly (readonly number[])[];
  readonly special: readonly (readonly number[])[];
  /** Its images, by row and in the order in which they stand there. */
  readonly images?: readonly BatchImage[];
}

/** An image among the tokens. */
export interface BatchImage {
  readonly row: number;
  readonly image: ProcessedImage;
  /** The column of each of `image.tokens`. */
  readonly positions: readonly number[];
}

export interface PadOptions {
  /** Left (default), as generation wants it, or right. */
  readonly paddingSide?: "left" | "right";
  /** Token id to pad with (default 0). */
  readonly padTokenId?: number;
}

/** Checks of how rows are padded. */
export const PAD_OPTIONS: OptionChecks<PadOptions> = {
  paddingSide: oneOf("left", "right"),
  padTokenId: integer(0),
};

/**
 * Lines up rows of token ids of different lengths.
 * @throws ModalscopeError for an empty batch or row, or an invalid id
 */
export function padTokens(rows: readonly (readonly number[])[], options: PadOptions = {}): Batch {
  checkOptions("padTokens", options, PAD_OPTIONS);
  if (rows.length === 0) throw new ModalscopeError("The batch is empty.", "There is no prompt in it.");
  const time = Math.max(...rows.map((row) => row.length));
  const size = rows.length;
  const inputIds = new Int32Array(size * time).fill(options.padTokenId ?? 0);
  const attentionMask = new Uint8Array(size * time);
  const positionIds = new Int32Array(size * time);
  const tokenPositions = rows.map((row, b) => {
    if (row.length === 0)
      throw new ModalscopeError(`Prompt ${b} has no tokens.`, "A row needs at least one.");
    const start = options.paddingSide === "right" ? 0 : time - row.length;
    return row.map((id, i) => {
      if (!Number.isInteger(id) || id < 0)
        throw new ModalscopeError(`Prompt ${b} has the token id ${id}.`, "Ids are integers from 0.");
      const cell = b * time + start + i;
      inputIds[cell] = id;
      attentionMask[cell] = 1;
      positionIds[cell] = i;
      return start + i;
    });
  });
  const last = tokenPositions.map((c) => c[c.length - 1]);
  const nextPositionIds = rows.map((row) => row.length);
  const none = rows.map(() => []);
  const kinds = { visual: none, passage: none, question: tokenPositions, answer: none, special: none };
  return {
    size,
    seqLength: time,
    inputIds,
    attentionMask,
    positionIds,
    nextPositionIds,
    tokenPositions,
    last,
    ...kinds,
  };
}

/** Some columns: the same for every row, one list per row, the last token of each row, or all tokens. */
export type Positions = readonly number[] | readonly (readonly number[])[] | "last" | "all";

/**
 * The columns that `positions` names in each row. Negative numbers count back from the row's last token.
 * @throws ModalscopeError for a column outside the batch, or one that is padding
 */
export function resolvePositions(
  positions: Positions,
  batch: Pick<Batch, "size" | "seqLength" | "tokenPositions" | "last">,
): number[][] {
  if (positions === "last") return batch.last.map((c) => [c]);
  if (positions === "all") return batch.tokenPositions.map((c) => [...c]);
  const perRow = positions.length > 0 && Array.isArray(positions[0]);
  if (perRow && positions.length !== batch.size) {
    throw new ModalscopeError(
      `Positions are given for ${positions.length} rows.`,
      `The batch has ${batch.size}.`,
    );
  }
  return Array.from({ length: batch.size }, (_, b) => {
    const row = (perRow ? positions[b] : positions) as readonly number[];
    const tokens = new Set(batch.tokenPositions[b]);
    return row.map((p) => {
      const column = p < 0 ? batch.last[b] + 1 + p : p;
      if (tokens.has(column)) return column;
      if (!Number.isInteger(column) || column < 0 || column >= batch.seqLength) {
        throw new ModalscopeError(
          `Row ${b} has no position ${p}.`,
          `The batch is ${batch.seqLength} tokens long.`,
        );
      }
      throw new ModalscopeError(
        `Position ${p} of row ${b} is padding.`,
        `Its tokens are at columns ${batch.tokenPositions[b][0]} to ${batch.last[b]}.`,
        "Count from a row's end (-1 is its last token), or give a list of positions for each row.",
      );
    });
  });
}
