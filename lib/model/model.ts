import { ModalscopeError } from "../errors.js";
import type { TaskOptions } from "../progress.js";
import type { Tensor } from "../tensor.js";
import { type Batch, type PadOptions, type Positions, padTokens } from "./batch/batch.js";
import { type KeyValues, type Pass, promptPass } from "./batch/pass.js";
import {
  encode,
  fillTemplate,
  type PrepareOptions,
  type Prompt,
  processorOf,
  readPrompts,
} from "./batch/prompts.js";
import type { Cache } from "./captures/activation-cache.js";
import { type CaptureRequest, Sink } from "./captures/sink.js";
import type { Checkpoint, Tokenizer } from "./checkpoint/index.js";
import type { Edits } from "./edits/edits.js";
import { checkPlan, type Plan, planEdits } from "./edits/plan.js";
import { weightTensor } from "./engine/check-weights.js";
import type { Engine } from "./engine/engine.js";
import { blockBytes, checkMemory, keyBytes, logitBytes } from "./engine/estimate.js";
import { ELEMENT_BYTES } from "./engine/pool.js";
import type { Company } from "./engine/run-piece.js";
import { HEAD, type TextConfig } from "./families/index.js";
import { runBlocks } from "./forward/blocks.js";
import { enter, looks } from "./forward/embed.js";
import { type Generated, type GenerateOptions, generate } from "./forward/generate.js";
import { finalNorm, firstAsked, logitColumnsOf, logitsAt, touchesHead } from "./forward/head.js";
import { type Hook, reaches } from "./hooks/index.js";
import { passOf } from "./vision/rows.js";
import { towerBytes } from "./vision/tower.js";

/** What to do in one run besides computing. */
export interface RunOptions extends TaskOptions {
  /** What to keep: hook names or patterns, or requests that keep less. */
  readonly capture?: readonly CaptureRequest[];
  /** A safetensors file for the captures, where they would fill the memory. */
  readonly captureTo?: string;
  readonly edits?: Edits;
  /** Where logits are computed: at all columns (default; zero at padding), the last token, chosen ones, or nowhere. */
  readonly logits?: Positions | "none";
  /** Starts before a block with a residual stream that is already known, (batch, time, hidden_size). */
  readonly start?: { readonly layer: number; readonly x: Tensor };
  /** Stops before this block; no logits then. */
  readonly stop?: number;
  /** Blocks that are left out: the residual stream passes them by. */
  readonly skip?: readonly number[];
  /** Keep each layer's rotated keys and values, to go on from. */
  readonly keepKeys?: boolean;
}

export interface RunResult {
  /** (batch, positions, vocab_size); undefined where none were asked for. */
  readonly logits: Tensor | undefined;
  /** For each row, the columns that the logits stand at. */
  readonly logitColumns: readonly (readonly number[])[];
  readonly cache: Cache;
  /**
   * The residual stream after the last block that ran, (batch, time, hidden_size); undefined where logits were asked
   * for at some columns and the last block computed no others. A capture of its `hook_resid_post` has it in any case.
   */
  readonly residual: Tensor | undefined;
  readonly keys: readonly (KeyValues | undefined)[];
}

/** A checkpoint that can be run, looked into and changed anywhere inside. Made by `loadModel`. */
export class Model {
  /** @internal */
  constructor(
    /** @internal What the functions of this folder work on; it is left out of the published declarations. */
    readonly engine: Engine,
    readonly tokenizer: Tokenizer | undefined,
    /** Folder or file that the checkpoint was loaded from. */
    readonly path: string,
  ) {}

  /** The files that it was loaded from: the raw config and every weight by its name. */
  get checkpoint(): Checkpoint {
    return this.engine.checkpoint;
  }

  /** Whether all blocks stay in memory; otherwise each is opened, run and closed (streamed). */
  get resident(): boolean {
    return this.engine.resident;
  }

  get config(): TextConfig {
    return this.engine.config;
  }

  /** Numbers of the blocks: 0 … num_hidden_layers − 1. */
  get layers(): number[] {
    return Array.from({ length: this.config.num_hidden_layers }, (_, l) => l);
  }

  /** Names of all hooks, in the order in which they are computed. */
  get hooks(): string[] {
    return this.engine.hooks.map(({ name }) => name);
  }

  /** Identifies the checkpoint's content. */
  get hash(): string {
    return this.engine.checkpoint.hash;
  }

  /** Token ids that end a text, as the checkpoint's generation config and config name them. */
  get endTokens(): number[] {
    const { config, generationConfig } = this.engine.checkpoint;
    const given = generationConfig?.eos_token_id ?? config.eos_token_id ?? [];
    return (Array.isArray(given) ? given : [given]).filter((id): id is number => typeof id === "number");
  }

  /**
   * A weight under its checkpoint's name, as float32.
   * @throws ModalscopeError naming the nearest names when there is none
   */
  weight(name: string): Tensor {
    return weightTensor(this.engine.checkpoint, name);
  }

  /**
   * Tokenises prompts and lines them up; conversations go through the chat template, pictures through the checkpoint's
   * processor. The batch tells the columns of picture tokens, question, answer and special tokens apart.
   * @throws ModalscopeError when the batch is empty, a prompt is too long, a picture is broken or has no place in its
   * prompt, or there is no tokenizer
   */
  async prepare(prompts: Prompt | readonly Prompt[], options: PrepareOptions = {}): Promise<Batch> {
    const list = isPrompt(prompts) ? [prompts] : (prompts as readonly Prompt[]);
    const reader = {
      tokenizer: this.needTokenizer(),
      images: () => processorOf(this.engine.checkpoint, options.images),
    };
    return this.checked(await readPrompts(this.engine, reader, list, this.padding(options)));
  }

  /**
   * Lines up rows of token ids.
   * @throws ModalscopeError for an empty batch or row, an id that is none, or a row that is too long
   */
  batch(rows: readonly (readonly number[])[], options: PadOptions = {}): Batch {
    return this.checked(padTokens(rows, this.padding(options)));
  }

  private padding(options: PadOptions): PadOptions {
    return { padding: this.tokenizer?.pad_token_id ?? 0, ...options };
  }

  private checked(batch: Batch): Batch {
    const { vocab_size, max_position_embeddings, vision_config } = this.config;
    const bad = batch.ids.findIndex((id) => id >= vocab_size && id !== vision_config?.image_token_id);
    if (bad >= 0) {
      throw new ModalscopeError(
        `The token id ${batch.ids[bad]} is too large.`,
        `The vocabulary has ${vocab_size} tokens.`,
      );
    }
    if (vision_config && !batch.images && batch.ids.includes(vision_config.image_token_id)) {
      throw new ModalscopeError(
        `The token id ${vision_config.image_token_id} stands for a part of a picture, and there is none.`,
        "",
        "Give prompts with pictures: model.prepare({ text, images }).",
      );
    }
    if (batch.time > max_position_embeddings) {
      throw new ModalscopeError(
        `A prompt has ${batch.time} tokens.`,
        `The model was made for ${max_position_embeddings} (max_position_embeddings).`,
      );
    }
    return batch;
  }

  /** Token ids of a text or of a conversation, special tokens included. A picture's place is left as the template writes it. */
  tokenize(prompt: Prompt): number[] {
    const tokenizer = this.needTokenizer();
    if (typeof prompt === "string") return encode(tokenizer, prompt, true);
    if ("text" in prompt) return encode(tokenizer, prompt.text, true);
    const sees = this.config.vision_config !== undefined;
    return encode(tokenizer, fillTemplate(tokenizer, prompt, sees), false);
  }

  /**
   * Text of token ids.
   * @throws ModalscopeError when there is no tokenizer
   */
  decode(ids: readonly number[] | Int32Array, options: { keepSpecial?: boolean } = {}): string {
    if (ids.length === 0) return "";
    return this.needTokenizer().decode(Array.from(ids), { skip_special_tokens: !options.keepSpecial });
  }

  /**
   * Runs a batch through the model.
   * @throws ModalscopeError for a hook that is unknown or does not run, an edit that does not fit, a position that is
   * none, or more captures, logits and kept keys than the memory holds
   */
  async run(input: Batch | Prompt | readonly Prompt[], options: RunOptions = {}): Promise<RunResult> {
    const batch = isBatch(input) ? input : await this.prepare(input);
    const { engine } = this;
    const pass = promptPass(batch);
    this.checkRange(options);
    const extentOf = passOf(engine, batch, pass);
    const { sink, plan } = this.prepared(batch, pass, extentOf, options);
    if (options.captureTo !== undefined) {
      sink.toFile(options.captureTo, extentOf, engine.float === "float32" ? "F32" : "F64");
    }
    try {
      return await this.runWith(batch, { ...options, plan, sink });
    } finally {
      sink.abort();
    }
  }

  private async runWith(batch: Batch, options: RunOptions & Company): Promise<RunResult> {
    const { engine } = this;
    const { plan, sink, keepKeys, onProgress, signal, skip, stop } = options;
    const company: Company = { plan, sink, keepKeys, onProgress, signal };
    const from = options.start?.layer ?? 0;
    if (options.start) this.checkStart(options.start.x, batch);
    const { x, pass } = await enter(engine, batch, company, options.start);
    const { logits = "all" } = options;
    const asked = stop === undefined ? firstAsked(logits, pass) : undefined;
    const ran = await runBlocks(engine, pass, x, { ...company, from, to: stop, skip, asked });
    const finished = (at?: { logits: Tensor; logitColumns: number[][] }): RunResult => ({
      logits: at?.logits,
      logitColumns: at?.logitColumns ?? [],
      cache: sink.finish(),
      residual: ran.pass === pass ? ran.x : undefined,
      keys: ran.keys,
    });
    if (stop !== undefined) return finished();
    if (logits !== "none") return finished(await logitsAt(engine, ran.pass, ran.x, logits, company));
    if (touchesHead(engine, company)) await finalNorm(engine, pass, ran.x, company);
    return finished();
  }

  /** Captures and edits of a run, checked against the batch and the memory before anything is computed. */
  private prepared(
    batch: Batch,
    pass: Pass,
    passOf: (hook: Hook) => Pass,
    options: RunOptions,
  ): { sink: Sink; plan: Plan } {
    const { engine } = this;
    const { logits = "all", start, stop, skip, captureTo, keepKeys } = options;
    const sees = looks(engine, batch, start?.layer);
    const course = { start: start?.layer, stop, skip, sees };
    const sink = new Sink(engine.hooks, options.capture ?? [], reaches(course));
    sink.check(passOf);
    const head = logits !== "none" || sink.localNames(HEAD).length > 0;
    const plan = planEdits(engine.hooks, options.edits ?? {}, reaches({ ...course, head }));
    checkPlan(engine.hooks, plan, passOf);
    const { size, time } = batch;
    const columns = logits === "all" ? time : logits === "none" ? 0 : logitColumnsOf(logits, pass)[0].length;
    checkMemory(engine, {
      captures: captureTo === undefined ? sink.estimate(passOf, ELEMENT_BYTES[engine.float]) : 0,
      logits: logitBytes(engine, size, stop === undefined ? columns : 0),
      "keys and values": keepKeys ? keyBytes(engine, size, time) : 0,
      "values inside a block": Math.max(
        blockBytes(engine, pass, plan),
        sees ? towerBytes(engine, batch, plan, sink) : 0,
      ),
    });
    return { sink, plan };
  }

  /**
   * Continues prompts token by token.
   * @throws ModalscopeError for a hook that is unknown or does not run, an edit that does not fit, more tokens than the
   * model was made for, or more captures, logits and keys than the memory holds
   */
  async generate(
    input: Batch | Prompt | readonly Prompt[],
    options: GenerateOptions = {},
  ): Promise<Generated[]> {
    const batch = isBatch(input) ? input : await this.prepare(input);
    return generate(this, batch, options);
  }

  /** Frees the sessions and the checkpoint's files. */
  async close(): Promise<void> {
    await this.engine.pool.close();
    this.engine.checkpoint.close();
  }

  private needTokenizer(): Tokenizer {
    if (this.tokenizer) return this.tokenizer;
    throw new ModalscopeError(
      `${this.path} has no tokenizer.`,
      "There is no tokenizer.json beside the weights.",
      "Give token ids: model.batch([[1, 2, 3]]).",
    );
  }

  private checkRange({ start, stop, skip }: RunOptions): void {
    const layers = this.config.num_hidden_layers;
    const bad = [stop, start?.layer].find(
      (l) => l !== undefined && !(Number.isInteger(l) && l >= 0 && l <= layers),
    );
    const missing = skip?.find((l) => !(Number.isInteger(l) && l >= 0 && l < layers));
    if (bad !== undefined || missing !== undefined) {
      throw new ModalscopeError(
        `There is no block ${bad ?? missing}.`,
        `The model has blocks 0 to ${layers - 1}.`,
      );
    }
    if (stop !== undefined && start !== undefined && stop < start.layer) {
      throw new ModalscopeError(
        `The run starts at block ${start.layer} and stops before block ${stop}.`,
        "Nothing would run.",
      );
    }
  }

  private checkStart(x: Tensor, batch: Batch): void {
    const { hidden_size } = this.config;
    const expected = [batch.size, batch.time, hidden_size];
    if (x.shape.join() !== expected.join()) {
      throw new ModalscopeError(
        `The starting stream has the shape (${x.shape.join(", ")}).`,
        `This batch needs (${expected.join(", ")}).`,
      );
    }
  }
}

export function isBatch(input: unknown): input is Batch {
  return typeof input === "object" && input !== null && "ids" in input;
}

function isPrompt(x: Prompt | readonly Prompt[]): x is Prompt {
  if (typeof x === "string" || "text" in x) return true;
  const first = x[0];
  return typeof first === "object" && "role" in first;
}
