import { ModalscopeError } from "../../errors.js";
import type { Batch } from "./batch.js";

/**
 * Prompts with given tokens after them, to be run at once (teacher forcing): what another prompt, another image or
 * another model would make of a text that was already generated. The new tokens are the rows' `answer`; rows that have
 * fewer than others are padded behind.
 * @param answers token ids for each row
 * @throws ModalscopeError when there are not as many lists as rows, or a list is empty
 */
export function appendTokens(batch: Batch, answers: readonly (readonly number[])[], padTokenId = 0): Batch {
  if (answers.length !== batch.size) {
    throw new ModalscopeError(
      `${answers.length} lists of tokens continue a batch of ${batch.size} rows.`,
      "Each row needs its own.",
    );
  }
  const empty = answers.findIndex((answer) => answer.length === 0);
  if (empty >= 0) throw new ModalscopeError(`Row ${empty} is continued by no tokens.`);
  const most = Math.max(...answers.map((answer) => answer.length));
  const { size, seqLength: time } = batch;
  const wide = time + most;
  const inputIds = new Int32Array(size * wide).fill(padTokenId);
  const attentionMask = new Uint8Array(size * wide);
  // Of MRoPE's three axes each has its own positions; a text's go on alike in all.
  const axes = batch.positionIds.length / (size * time);
  const positionIds = new Int32Array(axes * size * wide);
  answers.forEach((answer, row) => {
    inputIds.set(batch.inputIds.subarray(row * time, (row + 1) * time), row * wide);
    inputIds.set(answer, row * wide + time);
    attentionMask.set(batch.attentionMask.subarray(row * time, (row + 1) * time), row * wide);
    attentionMask.fill(1, row * wide + time, row * wide + time + answer.length);
    for (let axis = 0; axis < axes; axis++) {
      const from = (axis * size + row) * time;
      const to = (axis * size + row) * wide;
      positionIds.set(batch.positionIds.subarray(from, from + time), to);
      for (let i = 0; i < answer.length; i++) positionIds[to + time + i] = batch.nextPositionIds[row] + i;
    }
  });
  const answer = answers.map((own) => own.map((_, i) => time + i));
  return {
    ...batch,
    seqLength: wide,
    inputIds,
    attentionMask,
    positionIds,
    nextPositionIds: batch.nextPositionIds.map((next, row) => next + answers[row].length),
    tokenPositions: batch.tokenPositions.map((own, row) => [...own, ...answer[row]]),
    last: answer.map((own) => own[own.length - 1]),
    answer,
  };
}
