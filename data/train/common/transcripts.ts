/** Batches of plain text. */
import { padTokens } from "../../../lib/model/batch/index.js";
import type { Model } from "../../../lib/model/index.js";
import type { TrainingBatch } from "../../../lib/model/training/index.js";
import type { Exchange, Row, Transcript } from "./recipe.js";

/** A tokenizer's one function that is needed: special tokens in the text become themselves. */
export type Encode = (text: string) => readonly number[];

export function isTranscript(row: Row): row is Transcript {
  return "exchanges" in row;
}

/** The same few thousand texts occur again and again, and encoding costs more than looking up. */
const encoded = new WeakMap<object, Map<string, readonly number[]>>();

/** Encodes texts once each. */
export function encoderOf({ tokenizer }: Pick<Model, "tokenizer">): Encode {
  const known = encoded.get(tokenizer!) ?? new Map<string, readonly number[]>();
  encoded.set(tokenizer!, known);
  return (text) => {
    const ids = known.get(text) ?? Array.from(tokenizer!.encode(text, { add_special_tokens: false }), Number);
    known.set(text, ids);
    return ids;
  };
}

/** Token ids, padded on the right; every token of a reply is to be predicted from the one before it. */
export function transcriptBatch(encode: Encode, rows: readonly Transcript[]): TrainingBatch {
  const lists = rows.map(({ exchanges }) => exchanges.map((exchange) => encodeExchange(encode, exchange)));
  const batch = padTokens(
    lists.map((parts) => parts.flatMap(({ prompt, reply }) => [...prompt, ...reply])),
    { paddingSide: "right" },
  );
  const targets = new Int32Array(batch.inputIds.length);
  const lossWeights = new Float32Array(batch.inputIds.length);
  lists.forEach((parts, row) => {
    let at = row * batch.seqLength;
    for (const { prompt, reply } of parts) {
      at += prompt.length;
      targets.set(reply, at - 1);
      lossWeights.fill(1, at - 1, at - 1 + reply.length);
      at += reply.length;
    }
  });
  return { batch, targets, lossWeights };
}

function encodeExchange(
  encode: Encode,
  { prompt, reply }: Exchange,
): Record<keyof Exchange, readonly number[]> {
  return { prompt: encode(prompt), reply: encode(reply) };
}
