import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bareHead, earlyExit } from "../../../lib/analysis/evolution/early-exit.js";
import { joinTokens, stackStates, statesOfSteps } from "../../../lib/analysis/evolution/states.js";
import { wordsOfTokens } from "../../../lib/analysis/evolution/words.js";
import type { Unembedding } from "../../../lib/analysis/lens.js";
import { at0, type Tensor, tensor } from "../../../lib/tensor.js";
import { assertClose } from "../goldens.js";
import { floats, goldens } from "./goldens.js";

const states = floats(1, 4, 5, 3, 6);
const head = bareHead(floats(2, 3, 7, 6));
const reference = floats(3, 5, 3, 7);
const tokens = [2, 0, 5];

/** RMS norm, then the head. */
const unembedding: Pick<Unembedding, "forward"> = {
  forward(x: Tensor) {
    const data = Float32Array.from(x.data);
    for (let r = 0; r < x.shape[0]; r++) {
      const row = data.subarray(r * 6, r * 6 + 6);
      const size = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / 6);
      for (let j = 0; j < 6; j++) row[j] /= size;
    }
    return head.forward(tensor(data, x.shape));
  },
};

describe("early exit", () => {
  it("gives scipy's probabilities, ranks, entropies and divergences at every state", async () => {
    const expected = goldens.earlyExit;
    const done: number[] = [];
    const found = await earlyExit(states, unembedding, {
      tokens,
      runnersUp: 2,
      references: { prior: reference },
      onProgress: (count) => done.push(count),
    });
    // The head and norm here are float32.
    for (const name of ["probability", "rank", "entropy", "change"] as const)
      assertClose(found[name].data, expected[name].flat(), 2e-6, name);
    assertClose(found.distance.prior.data, expected.distance.flat(), 2e-6, "distance");
    assert.deepEqual(
      found.candidates.map(([own, ...others]) => [own.id, others.map(({ id }) => id)]),
      tokens.map((token, t) => [token, expected.runnersUp[t]]),
    );
    for (const [t, [own]] of found.candidates.entries())
      assertClose(
        own.probability,
        expected.probability.map((row) => row[t]),
        2e-6,
        "the token's own curve",
      );
    assert.deepEqual(done, [1, 2, 3]);
  });

  it("follows chosen tokens too, before the runners-up", async () => {
    const { candidates } = await earlyExit(states, unembedding, {
      tokens,
      follow: [[6, 2], [], [1]],
      runnersUp: 1,
    });
    const runnerUp = (t: number, ...but: number[]) =>
      goldens.earlyExit.runnersUp[t].find((id) => !but.includes(id));
    assert.deepEqual(
      candidates.map((list) => list.map(({ id }) => id)),
      [
        [2, 6, runnerUp(0, 6)],
        [0, runnerUp(1)],
        [5, 1, runnerUp(2, 1)],
      ],
    );
  });

  it("tells the last layer read with the norm from the last layer read without", async () => {
    const options = { tokens, runnersUp: 0 };
    const [normed, bare] = [
      await earlyExit(states, unembedding, options),
      await earlyExit(states, head, options),
    ];
    const last = normed.probability.data.subarray(12);
    assert.ok(bare.probability.data.subarray(12).some((p, t) => Math.abs(p - last[t]) > 0.01));
  });

  it("stacks layers, and refuses what does not fit", async () => {
    const stacked = stackStates([at0(states, 0), at0(states, 1)]);
    assert.deepEqual(stacked, { shape: [2, 3, 6], data: states.data.slice(0, 36) });
    assert.throws(() => stackStates([at0(states, 0), tensor(new Float32Array(6), [1, 6])]), /State 1 has/);
    await assert.rejects(earlyExit(states, unembedding, { tokens: [1, 2] }), /2 and 3 tokens/);
    await assert.rejects(
      earlyExit(states, unembedding, { tokens: [1, 2, 7] }),
      /Token 7 is not one of the 7 tokens/,
    );
    await assert.rejects(earlyExit(at0(states, 0), unembedding, { tokens }), /shape \(3, 6\)/);
    await assert.rejects(
      earlyExit(states, unembedding, { tokens, signal: AbortSignal.abort() }),
      (error: Error) => error.name === "AbortError",
    );
  });
});

describe("states of several texts", () => {
  it("stand side by side at every depth", () => {
    const joined = joinTokens([
      tensor(Float32Array.of(1, 2, 3, 4), [2, 1, 2]),
      tensor(Float32Array.of(5, 6, 7, 8, 9, 10, 11, 12), [2, 2, 2]),
    ]);
    assert.deepEqual(joined, {
      shape: [2, 3, 2],
      data: Float32Array.of(1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12),
    });
    assert.throws(() => joinTokens([states, tensor(new Float32Array(12), [2, 1, 6])]), /2 and 5 states/);
  });
});

describe("states of a generation", () => {
  // Two steps of two rows, width 2: step, row and hook can be read off the numbers.
  const step = (n: number) => ({
    get: (hook: string) =>
      tensor(
        Float32Array.from({ length: 4 }, (_, i) => 100 * n + 10 * Number(hook) + i),
        [2, 1, 2],
      ),
  });
  it("are its captures, hooks by steps, of one row", () => {
    assert.deepEqual(statesOfSteps([step(1), step(2)], ["0", "1", "2"], { row: 1 }), {
      shape: [3, 2, 2],
      data: Float32Array.of(102, 103, 202, 203, 112, 113, 212, 213, 122, 123, 222, 223),
    });
    assert.deepEqual(statesOfSteps([step(1), step(2)], ["0", "1"], { tokens: 1 }).shape, [2, 1, 2]);
  });
  it("must be of one position each", () => {
    const whole = { get: () => tensor(new Float32Array(12), [2, 3, 2]) };
    assert.throws(() => statesOfSteps([whole], ["x"]), /positions: "last"/);
  });
});

describe("words of tokens", () => {
  it("joins the pieces of a word, and leaves spaces and punctuation out", () => {
    const found = wordsOfTokens(["A", " she", "ep", "-dog", ".", " ", "The", " red bus"]);
    assert.deepEqual(found, [
      { word: "a", first: true },
      { word: "sheep-dog", first: true },
      { word: "sheep-dog", first: false },
      { word: "sheep-dog", first: false },
      undefined,
      undefined,
      { word: "the", first: true },
      { word: "red", first: true },
    ]);
  });
});
