/** config.yaml of a folder of transcoders, as circuit-tracer and its kin write it. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, ModalscopeError } from "../../errors.js";
import { describeFileError } from "../../file-errors.js";
import { loadYaml } from "../../load-yaml.js";
import { replaceFile } from "../../replace-file.js";
import type { Activation, TranscoderSet } from "./types.js";

export const CONFIG_FILE = "config.yaml";

/** How activations are made; thresholds, where there are any, are in the weights' files. */
export type ActivationConfig =
  | { readonly kind: "topk"; readonly k: number; readonly signed: boolean }
  | { readonly kind: "relu" | "jumprelu" }
  | { readonly kind: "unstated" };

export interface TranscoderConfig {
  readonly kind: TranscoderSet["kind"];
  readonly model: string;
  readonly checkpoint?: string;
  readonly hookIn: string;
  readonly hookOut: string;
  readonly activation: ActivationConfig;
  /** Paths or `hf://` addresses of the layers' files, in order, where the config lists them. */
  readonly files?: readonly string[];
}

const KINDS = { transcoder_set: "per-layer", cross_layer_transcoder: "cross-layer" } as const;
const ACTIVATIONS: ReadonlyMap<string, "topk" | "relu" | "jumprelu"> = new Map([
  ["topk", "topk"],
  ["top_k", "topk"],
  ["relu", "relu"],
  ["jumprelu", "jumprelu"],
  ["jump_relu", "jumprelu"],
]);

const MOST_BYTES = 2 ** 20;

/**
 * Reads config.yaml.
 *
 * A `k` or `top_k` makes TopK, which circuit-tracer's loader does not read from a folder (it then takes
 * plain ReLU).
 * Whether ReLU comes before TopK is `relu_before_topk` where that is given; else it does with `top_k`, as in
 * vlm-circuit-tracing, and not with `activation: topk` and `k`, as in circuit-tracer.
 * @throws ModalscopeError when the file is missing or no such config, or names a kind or activation that is
 *   not known
 */
export function readConfig(folder: string): TranscoderConfig {
  const path = join(folder, CONFIG_FILE);
  const fields = readYaml(path);
  const text = (name: string): string => {
    const value = fields[name];
    if (typeof value === "string") return value;
    throw bad(path, value === undefined ? `it has no ${name}.` : `its ${name} is no text.`);
  };
  const kind = text("model_kind");
  if (!Object.hasOwn(KINDS, kind)) {
    throw bad(path, `its model_kind is "${brief(kind)}"; known are ${Object.keys(KINDS).join(" and ")}.`);
  }
  const files = fields.transcoders;
  if (files !== undefined && !(Array.isArray(files) && files.every((one) => typeof one === "string")))
    throw bad(path, "its transcoders are no list of paths.");
  return {
    kind: KINDS[kind as keyof typeof KINDS],
    model: typeof fields.model_name === "string" ? fields.model_name : "",
    ...(typeof fields.checkpoint === "string" && { checkpoint: fields.checkpoint }),
    hookIn: text("feature_input_hook"),
    hookOut: text("feature_output_hook"),
    activation: activationIn(path, fields),
    ...(files !== undefined && { files }),
  };
}

function activationIn(path: string, fields: Readonly<Record<string, unknown>>): ActivationConfig {
  const { activation: named, k, top_k, relu_before_topk: before } = fields;
  const kind = typeof named === "string" ? ACTIVATIONS.get(named.toLowerCase()) : undefined;
  if (named !== undefined && kind === undefined) {
    const name = brief(String(named));
    throw new ModalscopeError(
      `${path} has the unknown activation "${name}".`,
      `Known are ${[...ACTIVATIONS.keys()].join(", ")}.`,
      didYouMean(name, ACTIVATIONS.keys()),
    );
  }
  const size = k ?? top_k;
  if (kind === "topk" || (kind === undefined && size !== undefined)) {
    if (!Number.isInteger(size) || (size as number) < 1)
      throw bad(
        path,
        `TopK needs its k, and k or top_k is ${size === undefined ? "missing" : brief(String(size))}.`,
      );
    const signed = typeof before === "boolean" ? !before : top_k === undefined;
    return { kind: "topk", k: size as number, signed };
  }
  return { kind: kind ?? "unstated" };
}

/** Writes config.yaml so that each reader finds the activation under the name that it knows. */
export function writeConfig(folder: string, set: TranscoderSet): void {
  const kind = set.kind === "per-layer" ? "transcoder_set" : "cross_layer_transcoder";
  const config = {
    model_name: set.model,
    model_kind: kind,
    feature_input_hook: set.hookIn,
    feature_output_hook: set.hookOut,
    scan: set.model,
    ...activationFields(set.layers[0].activation),
    ...(set.checkpoint !== undefined && { checkpoint: set.checkpoint }),
  };
  replaceFile(join(folder, CONFIG_FILE), [loadYaml().stringify(config)]);
}

function activationFields(activation: Activation): Record<string, unknown> {
  if (activation.kind === "relu") return { activation: "relu" };
  if (activation.kind === "jumprelu") return { activation: "jump_relu" };
  const { k, signed } = activation;
  return { activation: "topk", k, top_k: k, relu_before_topk: !signed };
}

function readYaml(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    if (statSync(path).size > MOST_BYTES) throw bad(path, `it has more than ${MOST_BYTES} bytes.`);
    value = loadYaml().parse(readFileSync(path, "utf8"));
  } catch (cause) {
    if (cause instanceof ModalscopeError) throw cause;
    if ((cause as NodeJS.ErrnoException).code !== undefined && "syscall" in (cause as object)) {
      throw new ModalscopeError(
        `The transcoders' ${path} cannot be read.`,
        describeFileError(cause),
        "Give the folder that holds config.yaml and the layers' files.",
        { cause },
      );
    }
    throw bad(path, `it is not YAML: ${brief((cause as Error).message)}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw bad(path, "it holds no fields.");
}

function bad(path: string, reason: string): ModalscopeError {
  return new ModalscopeError(`${path} is no config of transcoders:`, reason);
}

const brief = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);
