import assert from "node:assert/strict";
import { it } from "node:test";
import { ModalscopeError } from "../../../lib/errors.js";
import { appendTokens } from "../../../lib/model/batch/append-tokens.js";
import { drift, golden, open, prepared, variants } from "../vision/goldens.js";

/** A pass over prompts and answers must predict each token as decoding did, step by step, with its cache. */
for (const variant of variants) {
  it(`${variant}: given tokens after prompts get the logits that decoding gives them`, async () => {
    const model = await open(variant);
    const { cases } = golden(variant);
    const batch = await prepared(model, cases.batch ?? cases.turns);
    const generated = await model.generate(batch, { maxNewTokens: 5, eosTokenIds: [], outputLogits: true });
    // Of different lengths, so that some rows are padded behind.
    const answers = generated.map(({ ids }, row) => ids.slice(0, 5 - (row % 2)));
    const whole = appendTokens(batch, answers);
    assert.deepEqual(
      whole.answer.map((columns, row) => columns.map((c) => whole.inputIds[row * whole.seqLength + c])),
      answers,
    );
    const { logits, logitPositions } = await model.run(whole);
    const [, columns, width] = logits!.shape;
    answers.forEach((answer, row) => {
      answer.forEach((_, step) => {
        const column = step === 0 ? batch.last[row] : whole.answer[row][step - 1];
        const at = row * columns + logitPositions[row].indexOf(column);
        const off = drift(
          logits!.data.subarray(at * width, (at + 1) * width),
          generated[row].logits[step].data,
        );
        assert.ok(off <= 1e-4, `${variant}, row ${row}, token ${step}: ${off.toExponential(2)}`);
      });
    });
    assert.throws(() => appendTokens(batch, answers.slice(1)), ModalscopeError);
    assert.throws(() => appendTokens(batch, [[], ...answers.slice(1)]), /Row 0 is continued by no tokens/);
    await model.close();
  });
}
