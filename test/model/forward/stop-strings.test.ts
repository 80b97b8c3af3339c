import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadModel } from "../../../lib/model/index.js";
import { heldOutProblems, plainPrompt } from "../../../lib/tasks/index.js";

describe("texts that are read as they grow", () => {
  it("end at a stop string, row by row, and are streamed to where they end", async () => {
    const model = await loadModel("maths-zh-en");
    const prompts = heldOutProblems({ each: 1, reach: "wide" }).map((own) => plainPrompt(own, "en"));
    const whole = await model.generate(prompts, { maxNewTokens: 12 });
    // A word in the middle of some answers and not of others.
    const stop = whole[0].text.trim().split(" ")[1];
    const streamed = prompts.map(() => "");
    const onText = (text: string, row: number): void => {
      streamed[row] += text;
    };
    const cut = await model.generate(prompts, { maxNewTokens: 12, stopStrings: [stop], onText });
    const stopped = cut.filter(({ finishReason }) => finishReason === "stop");
    assert.ok(stopped.length > 0 && stopped.length < cut.length, `${stopped.length} of ${cut.length} stop`);
    for (const [row, { text, ids, finishReason }] of cut.entries()) {
      assert.equal(text, whole[row].text.split(stop)[0], `row ${row}`);
      assert.equal(streamed[row], text, `row ${row}`);
      assert.deepEqual(ids, whole[row].ids.slice(0, ids.length));
      if (finishReason === "stop") assert.ok(model.decode(ids).includes(stop));
      else assert.equal(finishReason, whole[row].finishReason);
    }
    await model.close();
  });
});
