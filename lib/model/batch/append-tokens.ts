import { ModalscopeError } from "../../errors.js";
import type { Batch } from "./batch.js";

/**
 * Prompts with given tokens after them, to be run at once (teacher forcing): what another prompt, another picture or
 * another model would make of a text that was already generated. The new tokens are the rows' `answer`; rows that have
 * fewer than others are padded behind.
 * @param answers token ids for each row
 * @throws ModalscopeError when there are not as many lists as rows, or a list is empty
 */
export function continued(batch: Batch, answers: readonly (readonly number[])[], padding = 0): Batch {
  if (answers.length !== batch.size) {
    throw new ModalscopeError(
      `${answers.length} lists of tokens continue a batch of ${batch.size} rows.`,
      "Each row needs its own.",
    );
  }
  const empty = answers.findIndex((answer) => answer.length === 0);
  if (empty >= 0) throw new ModalscopeError(`Row ${empty} is continued by no tokens.`);
  const most = Math.max(...answers.map((answer) => answer.length));
  const { size, time } = batch;
  const wide = time + most;
  const ids = new Int32Array(size * wide).fill(padding);
  const mask = new Uint8Array(size * wide);
  // Of MRoPE's three axes each has its own positions; a text's go on alike in all.
  const axes = batch.positions.length / (size * time);
  const positions = new Int32Array(axes * size * wide);
  answers.forEach((answer, row) => {
    ids.set(batch.ids.subarray(row * time, (row + 1) * time), row * wide);
    ids.set(answer, row * wide + time);
    mask.set(batch.mask.subarray(row * time, (row + 1) * time), row * wide);
    mask.fill(1, row * wide + time, row * wide + time + answer.length);
    for (let axis = 0; axis < axes; axis++) {
      const from = (axis * size + row) * time;
      const to = (axis * size + row) * wide;
      positions.set(batch.positions.subarray(from, from + time), to);
      for (let i = 0; i < answer.length; i++) positions[to + time + i] = batch.next[row] + i;
    }
  });
  const answer = answers.map((own) => own.map((_, i) => time + i));
  return {
    ...batch,
    time: wide,
    ids,
    mask,
    positions,
    next: batch.next.map((next, row) => next + answers[row].length),
    columns: batch.columns.map((own, row) => [...own, ...answer[row]]),
    last: answer.map((own) => own[own.length - 1]),
    answer,
  };
}
