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
import type { ActivationCache } from "./captures/activation-cache.js";
import { CaptureRecorder, type CaptureRequest } from "./captures/recorder.js";
import type { Checkpoint, Tokenizer } from "./checkpoint/index.js";
import type { Edits } from "./edits/edit.js";
import { checkPlan, type Plan, planEdits } from "./edits/plan.js";
import { weightTensor } from "./engine/check-weights.js";
import type { Engine } from "./engine/engine.js";
import { blockBytes, checkMemory, keyBytes, logitBytes } from "./engine/estimate.js";
import { ELEMENT_BYTES } from "./engine/pool.js";
import type { RunContext } from "./engine/run-piece.js";
import { HEAD, type TextConfig } from "./families/index.js";
import { runBlocks } from "./forward/blocks.js";
import { embedBatch, runsVision } from "./forward/embed.js";
import { type Generated, type GenerateOptions, generate } from "./forward/generate.js";
import { finalNorm, firstLogitPosition, logitPositionsOf, logitsAt, touchesHead } from "./forward/head.js";
import { type Hook, reaches } from "./hooks/index.js";
import { passFor } from "./vision/rows.js";
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
  /** First block to run, on `residual` instead of the embeddings. */
  readonly startAtLayer?: number;
  /** The residual stream before `startAtLayer`, (batch, time, hidden_size), such as another run's `residual`. */
  readonly residual?: Tensor;
  /** Stops before this block; no logits then. */
  readonly stopAtLayer?: number;
  /** Blocks that are left out: the residual stream passes them by. */
  readonly skipLayers?: readonly number[];
  /** Keep each layer's rotated keys and values, to go on from. */
  readonly useCache?: boolean;
}

export interface RunResult {
  /** (batch, positions, vocab_size); undefined where none were asked for. */
  readonly logits: Tensor | undefined;
  /** For each row, the columns that the logits stand at. */
  readonly logitPositions: readonly (readonly number[])[];
  readonly cache: ActivationCache;
  /**
   * The residual stream after the last block that ran, (batch, time, hidden_size); undefined where logits were asked
   * for at some columns and the last block computed no others. A capture of its `hook_resid_post` has it in any case.
   */
  readonly residual: Tensor | undefined;
  readonly pastKeyValues: readonly (KeyValues | undefined)[];
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
  get eosTokenIds(): number[] {
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
   * Tokenises prompts and lines them up; conversations go through the chat template, images through the checkpoint's
   * processor. The batch tells the columns of image tokens, question, answer and special tokens apart.
   * @throws ModalscopeError when the batch is empty, a prompt is too long, an image is broken or has no place in its
   * prompt, or there is no tokenizer
   */
  async prepare(prompts: Prompt | readonly Prompt[], options: PrepareOptions = {}): Promise<Batch> {
    const list = isPrompt(prompts) ? [prompts] : (prompts as readonly Prompt[]);
    const reader = {
      tokenizer: this.needTokenizer(),
      imageProcessor: () => processorOf(this.engine.checkpoint, options.imageProcessor),
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
    return { padTokenId: this.tokenizer?.pad_token_id ?? 0, ...options };
  }

  private checked(batch: Batch): Batch {
    const { vocab_size, max_position_embeddings, vision_config } = this.config;
    const bad = batch.inputIds.findIndex((id) => id >= vocab_size && id !== vision_config?.image_token_id);
    if (bad >= 0) {
      throw new ModalscopeError(
        `The token id ${batch.inputIds[bad]} is too large.`,
        `The vocabulary has ${vocab_size} tokens.`,
      );
    }
    if (vision_config && !batch.images && batch.inputIds.includes(vision_config.image_token_id)) {
      throw new ModalscopeError(
        `The token id ${vision_config.image_token_id} stands for a part of an image, and there is none.`,
        "",
        "Give prompts with images: model.prepare({ text, images }).",
      );
    }
    if (batch.seqLength > max_position_embeddings) {
      throw new ModalscopeError(
        `A prompt has ${batch.seqLength} tokens.`,
        `The model was made for ${max_position_embeddings} (max_position_embeddings).`,
      );
    }
    return batch;
  }

  /** Token ids of a text or of a conversation, special tokens included. An image's place is left as the template writes it. */
  tokenize(prompt: Prompt): number[] {
    const tokenizer = this.needTokenizer();
    if (typeof prompt === "string") return encode(tokenizer, prompt, true);
    if ("text" in prompt) return encode(tokenizer, prompt.text, true);
    const withVision = this.config.vision_config !== undefined;
    return encode(tokenizer, fillTemplate(tokenizer, prompt, withVision), false);
  }

  /**
   * Text of token ids, special tokens left out unless `skipSpecialTokens` is false.
   * @throws ModalscopeError when there is no tokenizer
   */
  decode(ids: readonly number[] | Int32Array, options: { skipSpecialTokens?: boolean } = {}): string {
    if (ids.length === 0) return "";
    return this.needTokenizer().decode(Array.from(ids), {
      skip_special_tokens: options.skipSpecialTokens ?? true,
    });
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
    const extentOf = passFor(engine, batch, pass);
    const { recorder, plan } = this.prepared(batch, pass, extentOf, options);
    if (options.captureTo !== undefined) {
      recorder.toFile(options.captureTo, extentOf, engine.float === "float32" ? "F32" : "F64");
    }
    try {
      return await this.runWith(batch, { ...options, plan, recorder });
    } finally {
      recorder.abort();
    }
  }

  private async runWith(batch: Batch, options: RunOptions & RunContext): Promise<RunResult> {
    const { engine } = this;
    const { plan, recorder, useCache, onProgress, signal, skipLayers, stopAtLayer } = options;
    const company: RunContext = { plan, recorder, useCache, onProgress, signal };
    if (options.residual) this.checkStart(options.residual, batch);
    const { x, pass } = await embedBatch(engine, batch, company, options);
    const { logits = "all" } = options;
    const asked = stopAtLayer === undefined ? firstLogitPosition(logits, pass) : undefined;
    const ran = await runBlocks(engine, pass, x, {
      ...company,
      startAtLayer: options.startAtLayer,
      stopAtLayer,
      skipLayers,
      firstPosition: asked,
    });
    const finished = (at?: { logits: Tensor; logitPositions: number[][] }): RunResult => ({
      logits: at?.logits,
      logitPositions: at?.logitPositions ?? [],
      cache: recorder.finish(),
      residual: ran.pass === pass ? ran.x : undefined,
      pastKeyValues: ran.keyValues,
    });
    if (stopAtLayer !== undefined) return finished();
    if (logits !== "none") return finished(await logitsAt(engine, ran.pass, ran.x, logits, company));
    if (touchesHead(engine, company)) await finalNorm(engine, pass, ran.x, company);
    return finished();
  }

  /** Captures and edits of a run, checked against the batch and the memory before anything is computed. */
  private prepared(
    batch: Batch,
    pass: Pass,
    passFor: (hook: Hook) => Pass,
    options: RunOptions,
  ): { recorder: CaptureRecorder; plan: Plan } {
    const { engine } = this;
    const { logits = "all", startAtLayer, stopAtLayer, skipLayers, captureTo, useCache } = options;
    const withVision = runsVision(engine, batch, startAtLayer);
    const course = { start: startAtLayer, stop: stopAtLayer, skip: skipLayers, sees: withVision };
    const recorder = new CaptureRecorder(engine.hooks, options.capture ?? [], reaches(course));
    recorder.check(passFor);
    const head = logits !== "none" || recorder.localNames(HEAD).length > 0;
    const plan = planEdits(engine.hooks, options.edits ?? {}, reaches({ ...course, head }));
    checkPlan(engine.hooks, plan, passFor);
    const { size, seqLength: time } = batch;
    const columns =
      logits === "all" ? time : logits === "none" ? 0 : logitPositionsOf(logits, pass)[0].length;
    checkMemory(engine, {
      captures: captureTo === undefined ? recorder.estimate(passFor, ELEMENT_BYTES[engine.float]) : 0,
      logits: logitBytes(engine, size, stopAtLayer === undefined ? columns : 0),
      "keys and values": useCache ? keyBytes(engine, size, time) : 0,
      "values inside a block": Math.max(
        blockBytes(engine, pass, plan),
        withVision ? towerBytes(engine, batch, plan, recorder) : 0,
      ),
    });
    return { recorder, plan };
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

  private checkRange({ startAtLayer, residual, stopAtLayer, skipLayers }: RunOptions): void {
    if ((startAtLayer === undefined) !== (residual === undefined)) {
      throw new ModalscopeError(
        `The run is given ${residual ? "residual without startAtLayer" : "startAtLayer without residual"}.`,
        "A run that starts at a block needs the residual stream before it.",
        "Give both, such as { startAtLayer: 4, residual: earlier.residual }.",
      );
    }
    const layers = this.config.num_hidden_layers;
    const bad = [stopAtLayer, startAtLayer].find(
      (l) => l !== undefined && !(Number.isInteger(l) && l >= 0 && l <= layers),
    );
    const missing = skipLayers?.find((l) => !(Number.isInteger(l) && l >= 0 && l < layers));
    if (bad !== undefined || missing !== undefined) {
      throw new ModalscopeError(
        `There is no block ${bad ?? missing}.`,
        `The model has blocks 0 to ${layers - 1}.`,
      );
    }
    if (stopAtLayer !== undefined && startAtLayer !== undefined && stopAtLayer < startAtLayer) {
      throw new ModalscopeError(
        `The run starts at block ${startAtLayer} and stops before block ${stopAtLayer}.`,
        "Nothing would run.",
      );
    }
  }

  private checkStart(x: Tensor, batch: Batch): void {
    const { hidden_size } = this.config;
    const expected = [batch.size, batch.seqLength, hidden_size];
    if (x.shape.join() !== expected.join()) {
      throw new ModalscopeError(
        `The starting stream has the shape (${x.shape.join(", ")}).`,
        `This batch needs (${expected.join(", ")}).`,
      );
    }
  }
}

export function isBatch(input: unknown): input is Batch {
  return typeof input === "object" && input !== null && "inputIds" in input;
}

function isPrompt(x: Prompt | readonly Prompt[]): x is Prompt {
  if (typeof x === "string" || "text" in x) return true;
  const first = x[0];
  return typeof first === "object" && "role" in first;
}
