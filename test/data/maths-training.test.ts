import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { PreTrainedTokenizer } from "@huggingface/transformers";
import type { Transcript } from "../../data/train/common/recipe.js";
import { transcriptBatch } from "../../data/train/common/transcripts.js";
import {
  drillRow,
  exchange,
  FACTS_PER_ROW,
  mathsSources,
  problemRow,
} from "../../data/train/maths-zh-en/sources.js";
import { trainTokenizer } from "../../data/train/maths-zh-en/tokenizer.js";
import { seeded } from "../../lib/random.js";
import { heldOutProblems } from "../../lib/tasks/maths/held-out.js";
import { checkMaths } from "../../lib/tasks/maths/maths.js";
import { drawProblems } from "../../lib/tasks/maths/synthetic.js";
import { MATHS_CATEGORIES } from "../../lib/tasks/maths/wordings.js";
import { testTokenizer } from "./write-tokenizer.js";

const files = testTokenizer();
const tokenizer = new PreTrainedTokenizer(files.tokenizer, {
  ...files.tokenizerConfig,
  chat_template: files.template,
});
const encode = (text: string): number[] => Array.from(tokenizer.encode(text), Number);
const decode = (ids: Iterable<number>): string => tokenizer.decode([...ids], { skip_special_tokens: false });

interface Golden {
  texts: { text: string; ids: number[]; decoded: string }[];
  chat: string;
}

describe("the maths tokenizer", () => {
  const golden = JSON.parse(
    readFileSync(new URL("../../../test/fixtures/tasks/maths-tokenizer-ids.json", import.meta.url), "utf8"),
  ) as Golden;

  for (const { text, ids, decoded } of golden.texts) {
    it(`gives Python's ids for ${JSON.stringify(text)}`, () => {
      assert.deepEqual(encode(text), ids);
      assert.equal(decode(ids), decoded);
    });
  }

  it("renders its chat template as Python does", () => {
    const chat = tokenizer.apply_chat_template([{ role: "user", content: "What is 3 times 4?" }], {
      add_generation_prompt: true,
      tokenize: false,
    });
    assert.equal(chat, golden.chat);
    assert.equal(exchange("What is 3 times 4?", "", true).prompt, golden.chat);
  });

  it("has one token for each number below 100 and for each English word of the problems", () => {
    for (let n = 0; n < 100; n++) assert.equal(encode(String(n)).length, 1, String(n));
    for (const { question, sentence } of drawProblems(seeded(3), 20, "train")) {
      for (const [word] of `${question.en}\n${sentence.en}`.matchAll(/ [A-Za-z]+/g)) {
        assert.equal(encode(`a${word}`).length, 1 + encode("a").length, word);
      }
    }
  });

  it("refuses a corpus without text", () => {
    assert.throws(() => trainTokenizer(["", ""]), { name: "ModalscopeError" });
  });
});

describe("what the maths checkpoint learns from", () => {
  const random = seeded(1);
  const rowsOf = (rows: readonly Transcript[]): { text: string; learned: string }[] => {
    const { batch, targets, lossWeights } = transcriptBatch(encode, rows);
    return rows.map((_, row) => {
      const cells = Array.from({ length: batch.seqLength }, (_, t) => row * batch.seqLength + t);
      return {
        text: decode(cells.filter((cell) => batch.attentionMask[cell]).map((cell) => batch.inputIds[cell])),
        learned: decode(cells.filter((cell) => lossWeights[cell] === 1).map((cell) => targets[cell])),
      };
    });
  };

  it("counts the answers of a drill, and nothing else", () => {
    for (const { text, learned } of rowsOf(Array.from({ length: 20 }, () => drillRow(random)))) {
      const lines = text.trimEnd().split("\n");
      assert.equal(lines.length, FACTS_PER_ROW);
      assert.deepEqual(
        learned.trimEnd().split("\n"),
        lines.map((line) => /\d+$/.exec(line)![0]),
      );
    }
  });

  it("counts the answering sentence with its end, plain or through the chat template", () => {
    const rows = rowsOf(Array.from({ length: 60 }, () => problemRow(random)));
    const plain = rows.filter(({ text }) => !text.startsWith("<|im_start|>"));
    const chat = rows.filter(({ text }) => text.startsWith("<|im_start|>"));
    assert.ok(plain.length > 0 && chat.length > 0);
    for (const { text, learned } of plain) {
      assert.match(learned, /^[^\n]*[.。]<\|endoftext\|>$/);
      assert.ok(text.endsWith(`\n${learned}`), text);
    }
    for (const { text, learned } of chat) {
      assert.match(learned, /^[^\n]*[.。]<\|im_end\|>$/);
      assert.ok(text.endsWith(`assistant\n${learned}`), text);
    }
  });

  it("begins with drills alone and ends with both", () => {
    const drills = (progress: number): number => mathsSources(random, progress)[0].share;
    assert.equal(drills(0), 1);
    assert.ok(drills(0.3) < 1 && drills(0.3) > drills(0.4));
    assert.equal(drills(1), 0.4);
  });

  it("is predicted from the token before, whatever the rows' lengths", () => {
    const rows: Transcript[] = [
      { exchanges: [exchange("5+7等于多少?", "答案是12。", false)] },
      { exchanges: [exchange("7?", "1.", false)] },
    ];
    const { batch, targets, lossWeights } = transcriptBatch(encode, rows);
    const [first, second] = rows.map(({ exchanges: [{ prompt, reply }] }) => encode(prompt + reply));
    assert.equal(batch.seqLength, first.length);
    for (let t = 0; t + 1 < first.length; t++)
      if (lossWeights[t] === 1) assert.equal(targets[t], first[t + 1]);
    assert.equal(lossWeights.subarray(batch.seqLength + second.length - 1).some(Boolean), false);
  });
});

describe("heldOutProblems", () => {
  it("are valid, three of each category, none of the same arithmetic", () => {
    const problems = checkMaths(
      { problems: heldOutProblems({ each: 3, seed: 7, distinct: "arithmetic" }) },
      "generated",
    );
    assert.equal(problems.length, 30);
    assert.equal(new Set(problems.map((p) => `${p.category} ${p.expression}`)).size, 30);
  });

  it("come by the hundreds, no question twice, and the same for the same seed", () => {
    const problems = checkMaths({ problems: heldOutProblems({ each: 60, seed: 5 }) }, "generated");
    assert.ok(problems.length > 300);
    assert.equal(new Set(problems.map(({ en }) => en)).size, problems.length);
    assert.deepEqual(heldOutProblems({ each: 60, seed: 5 }), problems);
    assert.notDeepEqual(heldOutProblems({ each: 60, seed: 6 }), problems);
  });

  it("from the wider range are enough of every category but multiplication", () => {
    const problems = heldOutProblems({ each: 40, seed: 5, reach: "wide" });
    for (const wanted of MATHS_CATEGORIES) {
      const found = problems.filter(({ category }) => category === wanted).length;
      assert.ok(found >= (wanted === "multiplication" ? 15 : 25), `${wanted}: ${found}`);
    }
  });

  it("refuses a number of problems that is none", () => {
    for (const each of [0, 2.5])
      assert.throws(
        () => heldOutProblems({ each }),
        /option each of heldOutProblems .* an integer from 1 on/,
      );
  });

  it("are what is shipped", () => {
    const path = new URL("../../../data/tasks/maths-zh-en-templates.json", import.meta.url);
    const shipped = JSON.parse(readFileSync(path, "utf8")) as { problems: unknown };
    assert.deepEqual(shipped.problems, heldOutProblems({ each: 3, seed: 7, distinct: "arithmetic" }));
  });
});
