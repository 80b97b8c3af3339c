import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseBytes } from "../bytes.js";
import { didYouMean, ModalscopeError } from "../errors.js";
import {
  checkOptions,
  either,
  integer,
  number,
  type OptionChecks,
  oneOf,
  TASK_OPTIONS,
  text,
} from "../options.js";
import { embeddedFolder } from "../package-root.js";
import type { TaskOptions } from "../progress.js";
import { checkDevice, createSession, type Device } from "../runtime/index.js";
import { isRemote, shownPath } from "../storage/index.js";
import {
  type Checkpoint,
  float32Checkpoint,
  hasTokenizer,
  loadTokenizer,
  localCheckpoint,
  openCheckpoint,
} from "./checkpoint/index.js";
import {
  defaultBudget,
  ELEMENT_BYTES,
  EncodedImages,
  ExpertStore,
  type FloatType,
  planLoad,
  SessionPool,
  tokensInCache,
  withExpertParts,
} from "./engine/index.js";
import { emitOnnx, input, neg } from "./graph/index.js";
import { listHooks } from "./hooks/index.js";
import { Model } from "./model.js";

export interface LoadOptions extends TaskOptions {
  readonly device?: Device;
  /** float64 serves to tell rounding from a fault: slow, CPU only, results in Float64Arrays. */
  readonly float?: FloatType;
  /** Anonymous memory that the model may take, captures included, such as "4GB" (10⁹) or "4GiB" (2³⁰); by default most of what is free. */
  readonly memory?: string | number;
  readonly threads?: number;
  /**
   * Folder for float32 copies of checkpoints in other formats, which are mapped instead of read
   * (default: a folder of the user's cache). `false` converts each block anew when it is opened.
   */
  readonly cache?: string | false;
  /**
   * `"quantised"` keeps the matrices of a GGUF file as they are quantised, in a fifth (4 bits) to two fifths (8 bits) of a
   * float32 matrix and without a copy on disk, and computes with them exactly: results differ from those of `"float32"` (the default) by rounding
   * alone. A token takes about as long to generate, a run of many tokens at once up to twice as long. So do experts of a mixture, of which
   * a token's own alone are computed. CPU and float32 only; types without such a form are read as float32, and so are experts where
   * not all fit into memory.
   */
  readonly weights?: "float32" | "quantised";
  /**
   * With quantised weights, `"int8"` rounds the inputs of their products to 8 bits: a token takes half as long to generate, and each
   * product is off by some 0.1 to 0.5 % of its largest value. `"float32"`, the default, is exact.
   */
  readonly arithmetic?: "float32" | "int8";
}

const LOAD_OPTIONS: OptionChecks<LoadOptions> = {
  ...TASK_OPTIONS,
  device: text,
  float: oneOf("float32", "float64"),
  memory: either(number(1), text),
  threads: integer(1),
  cache: (value) => (value === false ? undefined : text(value)),
  weights: oneOf("float32", "quantised"),
  arithmetic: oneOf("float32", "int8"),
};

/** Of the share for sessions: for experts that were just used, where not all fit. */
const EXPERT_SHARE = 0.5;
/** A block works no faster on more at once. */
const MAX_WORK_BYTES = 2 ** 29;
/** Of the memory, where that is less. */
const WORK_SHARE = 0.1;

/**
 * Opens a checkpoint: a Hugging Face folder, a .gguf file, or the name of an embedded model. Those at an `s3://` or
 * `https://` URL are copied into the cache folder first.
 * @throws ModalscopeError when it is not found, damaged, of an unknown architecture, or contradicts its config
 */
export async function loadModel(nameOrPath: string, options: LoadOptions = {}): Promise<Model> {
  checkOptions("loadModel", options, LOAD_OPTIONS);
  const { cache, onProgress, signal } = options;
  const copy = { cache: cache || undefined, onProgress, signal };
  const path = resolveModel(isHubPage(nameOrPath) ? nameOrPath : await localCheckpoint(nameOrPath, copy));
  const device = options.device ?? "cpu";
  checkQuantised(options);
  await tryDevice(device);
  const stored = openCheckpoint(path);
  try {
    const model = await assemble(stored, path, device, options);
    (globalThis as { [ON_LOAD]?: (hooks: readonly string[]) => void })[ON_LOAD]?.(model.hooks);
    return model;
  } catch (error) {
    stored.close();
    throw error;
  }
}

/** A notebook kernel puts a function there: it completes the hooks of the model that was loaded last. */
const ON_LOAD = Symbol.for("modalscope.modelLoaded");

async function assemble(
  stored: Checkpoint,
  path: string,
  device: Device,
  options: LoadOptions,
): Promise<Model> {
  const float = options.float ?? "float32";
  const memory = options.memory === undefined ? defaultBudget() : parseBytes(options.memory);
  const quantised = options.weights === "quantised";
  const plan = planLoad(stored, { float, memory, cache: options.cache !== false, quantised });
  const { family, config, bytes, budget, captureBytes, imageBytes, resident, mapped, keepAsStored } = plan;
  const wide = ELEMENT_BYTES[float] / ELEMENT_BYTES.float32;
  const checkpoint = mapped
    ? await float32Checkpoint(stored, options.cache || undefined, { ...options, keepAsStored })
    : stored;
  const forExperts = resident || bytes.experts === 0 ? 0 : budget * EXPERT_SHARE;
  // Weights that were let go are in memory until they are collected: beside the language head, the largest, others stay.
  const lag = resident || mapped ? 0 : wide * bytes.head;
  const pool = new SessionPool({
    checkpoint: withExpertParts(checkpoint),
    ...(quantised && { quantised: { read: stored.readQuantised, int8: options.arithmetic === "int8" } }),
    device,
    float,
    threads: options.threads,
    budget: Math.max(0, budget - forExperts - lag),
  });
  const tokenizer = hasTokenizer(stored) ? await loadTokenizer(stored) : undefined;
  const engine = {
    family,
    config,
    checkpoint,
    hooks: listHooks(family, config),
    pool,
    experts: new ExpertStore(checkpoint, float, forExperts),
    encodedImages: new EncodedImages(imageBytes),
    float,
    resident,
    memory,
    captureBytes,
    workBytes: Math.min(MAX_WORK_BYTES, memory * WORK_SHARE),
    chunkTokens: device === "cpu" ? tokensInCache(config, ELEMENT_BYTES[float]) : Number.POSITIVE_INFINITY,
    fused: device === "cpu" && float === "float32",
  };
  return new Model(engine, tokenizer, path);
}

/** Cost of loading a checkpoint. */
export interface LoadCost {
  /** Bytes of the weights' files. */
  readonly stored: number;
  /** Bytes of disk for a float32 copy, once, in the cache folder; 0 where none is needed. */
  readonly disk: number;
  /** Whether all blocks will stay in memory; otherwise they are read anew for every run. */
  readonly resident: boolean;
  /** Bytes of anonymous memory that the model will keep to. */
  readonly memory: number;
}

/**
 * What `loadModel` with the same options would take, from the headers of the files alone.
 * @throws ModalscopeError as `loadModel` does
 */
export function loadCost(nameOrPath: string, options: LoadOptions = {}): LoadCost {
  checkOptions("loadCost", options, LOAD_OPTIONS);
  checkQuantised(options);
  const stored = openCheckpoint(resolveModel(nameOrPath));
  try {
    const memory = options.memory === undefined ? defaultBudget() : parseBytes(options.memory);
    const float = options.float ?? "float32";
    const quantised = options.weights === "quantised";
    const plan = planLoad(stored, { float, memory, cache: options.cache !== false, quantised });
    const { resident, copyBytes } = plan;
    const bytes = [...stored.weights.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    return { stored: bytes, disk: copyBytes, resident, memory };
  } finally {
    stored.close();
  }
}

/** @throws ModalscopeError for options that quantised weights do not go with */
function checkQuantised({ weights, arithmetic, device = "cpu", float = "float32" }: LoadOptions): void {
  if (weights !== "quantised") {
    if (arithmetic !== "int8") return;
    throw new ModalscopeError(
      'arithmetic: "int8" was asked for without quantised weights.',
      "Products with weights in float32 are computed in float32.",
      'Add weights: "quantised".',
    );
  }
  if (device === "cpu" && float === "float32") return;
  throw new ModalscopeError(
    `weights: "quantised" was asked for with ${device === "cpu" ? `float: "${float}"` : `device: "${device}"`}.`,
    "Quantised weights are computed with on the CPU, in float32.",
    "Leave one of the two out.",
  );
}

/** Opens the smallest of graphs, so that a missing driver shows before a checkpoint is read. */
async function tryDevice(device: Device): Promise<void> {
  checkDevice(device);
  if (device === "cpu") return;
  const graph = emitOnnx({ y: neg(input("x", [1])) }, { float: "float32", bind: () => ({ kind: "input" }) });
  await (await createSession(graph, { device })).release();
}

/** Folder of the models that come with the package. */
export const EMBEDDED_MODELS: string = embeddedFolder();

/** Names of the models that come with the package. */
export function embeddedModels(): string[] {
  if (!existsSync(EMBEDDED_MODELS)) return [];
  return readdirSync(EMBEDDED_MODELS).filter((name) =>
    existsSync(join(EMBEDDED_MODELS, name, "config.json")),
  );
}

function resolveModel(given: string): string {
  if (typeof given !== "string" || given === "") {
    const shown = given === "" ? "an empty text" : String(given);
    throw new ModalscopeError(`loadModel was given ${shown}.`, "", "Give a folder, a .gguf file, or a name.");
  }
  if (isRemote(given)) {
    throw new ModalscopeError(
      `${shownPath(given)} is not on this machine.`,
      "",
      downloadAdvice(given) || "Load it with loadModel, or bring it here: await localCopy(url).",
    );
  }
  const nameOrPath = pathOf(given);
  if (existsSync(nameOrPath)) return nameOrPath;
  const embedded = join(EMBEDDED_MODELS, nameOrPath);
  if (embeddedModels().includes(nameOrPath)) return embedded;
  throw new ModalscopeError(
    `There is no model "${nameOrPath}".`,
    `${resolve(nameOrPath)} is no folder or .gguf file, and no embedded model has this name (${embeddedModels().join(", ") || "none here"}).`,
    didYouMean(nameOrPath, embeddedModels()) || downloadAdvice(nameOrPath),
  );
}

/** As a shell and a browser write paths. */
function pathOf(given: string): string {
  if (given.startsWith("file:")) return fileURLToPath(given);
  return /^~[\\/]/.test(given) ? join(homedir(), given.slice(2)) : given;
}

/** A model's page, where none of its files lie. */
function isHubPage(given: string): boolean {
  return /^https:\/\/huggingface\.co\/[\w-]+\/[\w.-]+\/?$/.test(given);
}

/** For what looks like a model's name on the Hugging Face Hub. */
function downloadAdvice(name: string): string {
  const id = /^(?:https:\/\/huggingface\.co\/)?([\w-]+\/[\w.-]+)\/?$/.exec(name)?.[1];
  if (id === undefined) return "";
  return `Get it with: hf download ${id} --local-dir ${basename(id)}; or give https://huggingface.co/${id}/resolve/main/.`;
}
