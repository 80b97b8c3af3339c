import { ModalscopeError } from "../errors.js";
import { checkOptions, flag, integer, type OptionChecks, TASK_OPTIONS, text } from "../options.js";
import type { TaskOptions } from "../progress.js";
import type { Device, SessionOptions } from "../runtime/index.js";
import {
  listInputs,
  listTensors,
  listWeights,
  namedValue,
  type OnnxInput,
  type OnnxTensor,
  type OnnxValue,
} from "./listing.js";
import { type NamePattern, picked } from "./pattern.js";
import type { OnnxArray, OnnxRequest, OnnxResult } from "./request.js";
import { resolveCut, runCut } from "./run.js";
import { Sessions } from "./sessions.js";
import { bytesOrigin, fileOrigin } from "./source.js";
import { scanOrigin } from "./splice-graph.js";
import { inferTypes, statedTypes } from "./types.js";

export interface OnnxOptions {
  /** Device on which the model runs (default "cpu"). */
  readonly device?: Device;
  readonly threads?: number;
  /** Repack the weights for speed, at the cost of a copy of them per session (default true). */
  readonly prepack?: boolean;
  /** Number of sessions that stay open, one for each set of captured and edited tensors (default 4). */
  readonly sessions?: number;
  /**
   * Ask onnxruntime for the types and shapes that the file does not state (default true). Without it a model
   * can be listed that the runtime would refuse; tensors of unknown type can then be neither captured nor edited.
   */
  readonly infer?: boolean;
  /** For a model in memory: the folder of its side files. */
  readonly folder?: string;
}

/** An ONNX model whose inner tensors can be listed, captured and edited. */
export interface OnnxModel {
  readonly producer: string;
  /** Version of ONNX's own operators; 0 when the model uses none of them. */
  readonly opset: number;
  readonly inputs: readonly OnnxInput[];
  readonly outputs: readonly OnnxValue[];
  /** Weights that the model stores; float ones can be edited. */
  readonly weights: readonly OnnxValue[];
  /** The tensors that nodes compute, all or those that a pattern names, with what is known of each. */
  tensors(pattern?: NamePattern): OnnxTensor[];
  /**
   * Runs the model. Types without an array of their own come in and go out widened: float16, bfloat16 and
   * float8 as float32; int8 and int16 as int32; uint32 and uint64 as int64; bool as uint8 0 or 1.
   * A captured tensor that is edited is captured as edited.
   * @throws ModalscopeError for a misspelt name, a feed or an edit that does not fit
   */
  run(feeds: Readonly<Record<string, OnnxArray>>, request?: OnnxRequest & TaskOptions): Promise<OnnxResult>;
  /**
   * Opens the session for these captures and edits now. Runs that ask for some of them use it too, so a sweep
   * over many edits prepares them all and needs one session; the edits of `request.edits` give names only here.
   */
  prepare(request: OnnxRequest): Promise<void>;
  close(): Promise<void>;
}

const ONNX_OPTIONS: OptionChecks<OnnxOptions> = {
  ...TASK_OPTIONS,
  device: text,
  threads: integer(1),
  prepack: flag,
  sessions: integer(1),
  infer: flag,
  folder: text,
};

/**
 * Opens an ONNX file, whatever exported it: only its structure is read, the weights stay where they are.
 *
 * ```ts
 * const model = await openOnnx("vision_tower.onnx");
 * model.tensors("/encoder/layers.?/attention/*");   // each with its op, node, dtype and shape
 * const { outputs, captures } = await model.run({ pixel_values }, {
 *   capture: "/encoder/**Softmax_output_0",
 *   edits: { "/encoder/layers.3/mlp/Add_output_0": { scale: 0 } },
 * });
 * ```
 * A pattern is a name, a regular expression, or a glob: `*` stands for anything but "/", `**` for anything, `?`
 * for one character that is no "/"; `**` with a slash after it stands for any number of folders, or none.
 *
 * @param source - a path, or a model's bytes
 * @throws ModalscopeError when it is no ONNX model, is damaged, or names side files that are missing or outside
 * of its folder
 */
export async function openOnnx(source: string | Uint8Array, options: OnnxOptions = {}): Promise<OnnxModel> {
  checkOptions("openOnnx", options, ONNX_OPTIONS);
  const most = options.sessions ?? 4;
  if (!(Number.isInteger(most) && most >= 1)) {
    throw new ModalscopeError(`${most} sessions cannot stay open.`, "", "Give a whole number from 1.");
  }
  const origin = typeof source === "string" ? fileOrigin(source) : bytesOrigin(source, options.folder);
  const scanned = scanOrigin(origin);
  const { device, threads, prepack } = options;
  const session: SessionOptions = { device, threads, prepack, weightsFolder: origin.root };
  const types = options.infer === false ? statedTypes(scanned) : await inferTypes(scanned, session);
  const sessions = new Sessions(scanned, types, session, most);
  const list = listTensors(scanned, types);
  const inputs = listInputs(scanned, types);
  const model = { scanned, types, list, inputs, sessions };

  let closed = false;
  let last: Promise<unknown> = Promise.resolve();
  /** One call after the other: the runtime holds the thread anyway, and a session in use must not be released. */
  const inTurn = <T>(call: () => Promise<T>): Promise<T> => {
    const mine = last.then(() => {
      if (!closed) return call();
      throw new ModalscopeError(`${origin.label} is closed.`, "", "Open it again.");
    });
    last = mine.catch(() => {}); // only the order is kept here: the caller gets the error
    return mine;
  };
  return {
    producer: scanned.model.producer,
    opset: scanned.model.opset,
    inputs,
    outputs: scanned.model.graph.outputs.map(({ name }) => namedValue(name.name, types)),
    weights: listWeights(scanned, types),
    tensors(pattern) {
      return pattern === undefined ? [...list] : picked(list, pattern);
    },
    run: (feeds, request = {}) => inTurn(() => runCut(model, feeds, request)),
    prepare: (request) => inTurn(async () => void (await sessions.at(resolveCut(model, request)))),
    async close() {
      await inTurn(async () => {
        closed = true;
        await sessions.close();
      });
    },
  };
}
