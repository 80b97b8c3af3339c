/** One row of a generation: its tokens, and its text as it grows. */
import { type Random, seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { Tokenizer } from "../checkpoint/index.js";
import type { GenerateOptions } from "./generate-options.js";
import { sampleToken } from "./sampling.js";

/** End tokens of a generation, and the text of its ids. */
export interface Decoder {
  readonly tokenizer: Tokenizer | undefined;
  /** Tokens that end a row unless others are given. */
  readonly eosTokenIds: readonly number[];
}

/** The tokens and the text that one row has got so far. */
export class Continuation {
  readonly ids: number[] = [];
  readonly logits: Tensor[] = [];
  text = "";
  finishReason?: "token" | "stop" | "length";
  /** Characters that `onText` was given. */
  private streamed = 0;
  private readonly random: Random;
  private readonly stopIds: ReadonlySet<number>;

  constructor(
    decoder: Decoder,
    private readonly row: number,
    private readonly options: GenerateOptions,
  ) {
    this.random = seeded((options.seed ?? 0) + 1_000_003 * row);
    this.stopIds = new Set(options.eosTokenIds ?? decoder.eosTokenIds);
  }

  /** Chooses the next token from its logits (vocab_size); a row that has ended goes on with padding that nobody reads. */
  extend(logits: Tensor): number {
    if (this.finishReason) return 0;
    if (this.options.outputLogits) this.logits.push(logits);
    const id = sampleToken(logits.data, this.options, this.random);
    this.ids.push(id);
    if (this.stopIds.has(id)) this.finishReason = "token";
    return id;
  }

  /** Tokens without the one that ended the row: its text. */
  get written(): readonly number[] {
    return this.finishReason === "token" ? this.ids.slice(0, -1) : this.ids;
  }

  /** Takes the text of what is written so far, which may end the row. */
  read(text: string): void {
    const { stopStrings = [] } = this.options;
    const stops = stopStrings.map((s) => text.indexOf(s)).filter((i) => i >= 0);
    this.text = stops.length > 0 ? text.slice(0, Math.min(...stops)) : text;
    if (stops.length > 0) this.finishReason = "stop";
    this.stream(this.text.length - (this.finishReason ? 0 : heldBackChars(this.text, stopStrings)));
  }

  /** Gives `onText` what was held back. */
  flush(): void {
    this.stream(this.text.length);
  }

  private stream(end: number): void {
    if (end <= this.streamed) return;
    this.options.onText?.(this.text.slice(this.streamed, end), this.row);
    this.streamed = end;
  }
}

/** Reads the texts of rows, all at once: the limit of time on a tokenizer costs more than its work on a row. */
export function readTexts({ tokenizer }: Decoder, rows: readonly Continuation[]): void {
  if (!tokenizer || rows.length === 0) return;
  const texts = tokenizer.decodeBatch(
    rows.map(({ written }) => written),
    { skip_special_tokens: true },
  );
  for (const [i, row] of rows.entries()) row.read(texts[i]);
}

/** Last characters that may still change: one that is not complete yet (U+FFFD), or the start of a stop string. */
function heldBackChars(text: string, stops: readonly string[]): number {
  let held = text.endsWith("\uFFFD") ? 1 : 0;
  for (const stop of stops) {
    for (let n = Math.min(stop.length - 1, text.length); n > held; n--) {
      if (stop.startsWith(text.slice(text.length - n))) held = n;
    }
  }
  return held;
}
