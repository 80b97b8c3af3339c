import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { PreTrainedTokenizer } from "@huggingface/transformers";
import {
  type DataMix,
  evaluationBatch,
  exchange,
  trainingBatches,
} from "../../data/train/maths-zh-en/batches.js";
import { heldOutProblems } from "../../data/train/maths-zh-en/problems.js";
import { trainTokenizer } from "../../data/train/maths-zh-en/tokenizer.js";
import { seeded } from "../../lib/random.js";
import { checkMaths } from "../../lib/tasks/maths/maths.js";
import { drawProblems } from "../../lib/tasks/maths/synthetic.js";
import { testTokenizer } from "./write-tokenizer.js";

const files = testTokenizer();
const tokenizer = new PreTrainedTokenizer(files.tokenizer, files.tokenizerConfig);
const encode = (text: string): number[] => Array.from(tokenizer.encode(text), Number);
const decode = (ids: Iterable<number>): string => tokenizer.decode([...ids], { skip_special_tokens: false });
const filler = files.ids["<|endoftext|>"];

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

describe("trainingBatches", () => {
  const mix: DataMix = {
    rows: 8,
    lot: 4,
    factsPerRow: 5,
    chatShare: 0.5,
    drillShare: (progress) => (progress < 0.5 ? 1 : 0),
  };
  const batches = [...trainingBatches(encode, filler, mix, 16, 1)];
  const rowsOf = ({ tokens, mask }: (typeof batches)[number]): { text: string; learnt: string }[] => {
    const [rows, time] = tokens.shape;
    return Array.from({ length: rows }, (_, r) => {
      const ids = tokens.data.subarray(r * time, (r + 1) * time);
      const counted = ids.filter((_, t) => mask.data[r * time + t] === 1);
      return { text: decode(ids), learnt: decode(counted) };
    });
  };

  it("counts the answers of a drill, and nothing else", () => {
    for (const { text, learnt } of batches.slice(0, 8).flatMap(rowsOf)) {
      const lines = text.replaceAll("<|endoftext|>", "").trimEnd().split("\n");
      assert.equal(lines.length, mix.factsPerRow);
      assert.deepEqual(
        learnt.trimEnd().split("\n"),
        lines.map((line) => /\d+$/.exec(line)![0]),
      );
    }
  });

  it("counts the answering sentence with its end, plain or through the chat template", () => {
    const rows = batches.slice(8).flatMap(rowsOf);
    const plain = rows.filter(({ text }) => !text.startsWith("<|im_start|>"));
    const chat = rows.filter(({ text }) => text.startsWith("<|im_start|>"));
    assert.ok(plain.length > 0 && chat.length > 0);
    for (const { text, learnt } of plain) {
      assert.match(learnt, /^[^\n]*[.。]<\|endoftext\|>$/);
      assert.ok(text.includes(`\n${learnt}`), text);
    }
    for (const { text, learnt } of chat) {
      assert.match(learnt, /^[^\n]*[.。]<\|im_end\|>$/);
      assert.ok(text.includes(`assistant\n${learnt}`), text);
    }
  });

  it("is the same for the same seed", () => {
    assert.deepEqual([...trainingBatches(encode, filler, mix, 16, 1)], batches);
    assert.notDeepEqual([...trainingBatches(encode, filler, mix, 16, 2)], batches);
  });
});

describe("evaluationBatch", () => {
  it("has one row per exchange, filled up on the right", () => {
    const { tokens, mask } = evaluationBatch(encode, filler, [
      exchange("5+7等于多少?", "答案是12。", false),
      exchange("7?", "1.", false),
    ]);
    assert.equal(tokens.shape[0], 2);
    assert.equal(decode(tokens.data.subarray(0, tokens.shape[1])), "5+7等于多少?\n答案是12。<|endoftext|>");
    const second = encode("7?\n1.<|endoftext|>").length;
    assert.equal(mask.data.slice(tokens.shape[1] + second).some(Boolean), false);
  });
});

describe("heldOutProblems", () => {
  it("are valid, three of each category, none of the same arithmetic", () => {
    const problems = checkMaths({ problems: heldOutProblems(3, 7) }, "generated");
    assert.equal(problems.length, 30);
    assert.equal(new Set(problems.map((p) => `${p.category} ${p.expression}`)).size, 30);
  });

  it("are what is shipped", () => {
    const path = new URL("../../../data/tasks/maths-zh-en-templates.json", import.meta.url);
    const shipped = JSON.parse(readFileSync(path, "utf8")) as { problems: unknown };
    assert.deepEqual(shipped.problems, heldOutProblems(3, 7));
  });
});
