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
  decode(ids: readonly number[]): string;
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
    private readonly decoder: Decoder,
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
    else if (this.readsAlong) this.readText();
    return id;
  }

  /** Reads the text, where nobody asked for it on the way, and gives `onText` what was held back. */
  flush(): void {
    if (this.decoder.tokenizer && !this.readsAlong)
      this.text = this.decoder.decode(this.finishReason === "token" ? this.ids.slice(0, -1) : this.ids);
    this.stream(this.text.length);
  }

  /** Somebody waits for the text as it grows. */
  private get readsAlong(): boolean {
    const { stopStrings = [], onText } = this.options;
    return this.decoder.tokenizer !== undefined && (stopStrings.length > 0 || onText !== undefined);
  }

  private readText(): void {
    const { stopStrings = [] } = this.options;
    const text = this.decoder.decode(this.ids);
    const stops = stopStrings.map((s) => text.indexOf(s)).filter((i) => i >= 0);
    this.text = stops.length > 0 ? text.slice(0, Math.min(...stops)) : text;
    if (stops.length > 0) this.finishReason = "stop";
    this.stream(this.text.length - (this.finishReason ? 0 : heldBackChars(this.text, stopStrings)));
  }

  private stream(end: number): void {
    if (end <= this.streamed) return;
    this.options.onText?.(this.text.slice(this.streamed, end), this.row);
    this.streamed = end;
  }
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
