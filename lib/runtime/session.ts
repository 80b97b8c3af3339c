/** The one door to onnxruntime: nothing else in the project imports it. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import * as ort from "onnxruntime-node";
import { ModalscopeError } from "../errors.js";
import { lockNative, unlockNative } from "../native-lock.js";
import type { TypedArray } from "../tensor.js";

export type Device = "cpu" | "webgpu" | "cuda";

export interface SessionOptions {
  readonly device?: Device;
  /** Folder of the files that hold the model's external weights; the runtime maps them. */
  readonly weightsFolder?: string;
  /** Data of external weights that are in memory, by their location in the model: they are not copied with it. */
  readonly external?: ReadonlyMap<string, Uint8Array>;
  /**
   * Repack weights for the fastest matrix products, at the cost of a copy in memory (default true).
   * Without it the weights stay in the mapped file.
   */
  readonly prepack?: boolean;
  /** Fuse operations (default true). Some fused kernels know float32 only: leave it off for float64. */
  readonly fuse?: boolean;
  /** Keep memory between runs instead of giving it back: for many runs of one shape, such as training. */
  readonly arena?: boolean;
  /** Threads of one operation; by default, as many as the machine runs in parallel. */
  readonly threads?: number;
}

/** A value as onnxruntime sees it. */
export interface Value {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: TypedArray | BigUint64Array | Int8Array | Int16Array | Uint32Array | string[];
}

export interface OutputMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  /** Lengths by number or name; empty for a scalar and for an unknown rank. */
  readonly shape?: readonly (number | string)[];
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Metadata of each output, as the runtime knows it after inferring shapes. */
  readonly outputMetadata: readonly OutputMetadata[];
  /** Computes the named outputs; those that are not named cost nothing. */
  run(feeds: Readonly<Record<string, Value>>, outputs: readonly string[]): Promise<Record<string, Value>>;
  release(): Promise<void>;
}

/**
 * Opens a model: ONNX bytes, or the path of a file.
 * @throws ModalscopeError when the device is not offered here, or the runtime refuses the model
 */
export async function createSession(
  source: Uint8Array | string,
  options: SessionOptions = {},
): Promise<Session> {
  const session = await openSession(source, options);
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    outputMetadata: session.outputMetadata,
    async run(feeds, outputs) {
      const values: Record<string, ort.Tensor> = {};
      for (const [name, { type, data, dims }] of Object.entries(feeds)) {
        values[name] = new ort.Tensor(type as "float32", data as Float32Array, dims);
      }
      return (await guarded(() => session.run(values, [...outputs]))) as unknown as Record<string, Value>;
    },
    release: () => session.release(),
  };
}

/** A function of its own, so that the session keeps neither the model's bytes nor weights that it has copied. */
async function openSession(
  source: Uint8Array | string,
  options: SessionOptions,
): Promise<ort.InferenceSession> {
  const device = options.device ?? "cpu";
  checkDevice(device);
  const settings = sessionSettings(device, options);
  return guarded(() =>
    typeof source === "string"
      ? ort.InferenceSession.create(source, settings)
      : ort.InferenceSession.create(source, settings),
  ).catch((error: Error) => {
    throw new ModalscopeError(
      `onnxruntime could not open the model on "${device}".`,
      error.message.trim(),
      device === "cpu" ? "" : 'Check the driver (environment.md), or use device: "cpu".',
      { cause: error },
    );
  });
}

/** The devices that the installed runtime was built with. */
export function availableDevices(): Device[] {
  const built = new Set(ort.listSupportedBackends().map(({ name }) => name));
  return (["cpu", "webgpu", "cuda"] as const).filter((device) => built.has(device));
}

/** @throws ModalscopeError when the installed runtime was built without the device */
export function checkDevice(device: Device): void {
  if (availableDevices().includes(device)) return;
  throw new ModalscopeError(
    `The device "${device}" is not available.`,
    `The installed onnxruntime offers ${availableDevices().join(", ")}.`,
    device === "cuda" ? "environment.md says how to add CUDA." : "",
  );
}

function sessionSettings(device: Device, options: SessionOptions): ort.InferenceSession.SessionOptions {
  const session: Record<string, unknown> = {
    // Each session has its own thread pool, and idle pools would spin against the one that works.
    intra_op: { allow_spinning: "0" },
    disable_prepacking: options.prepack === false ? "1" : "0",
    use_device_allocator_for_initializers: "1",
  };
  if (options.weightsFolder !== undefined) {
    if (!existsSync(options.weightsFolder)) {
      throw new ModalscopeError(`The weights' folder ${options.weightsFolder} does not exist.`);
    }
    session.model_external_initializers_file_folder_path = options.weightsFolder;
  }
  return {
    executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
    intraOpNumThreads: options.threads ?? availableParallelism(),
    interOpNumThreads: 1,
    graphOptimizationLevel: options.fuse === false ? "basic" : "all",
    // The arena keeps what the largest batch ever took; without it memory goes back, at no cost in speed.
    enableCpuMemArena: options.arena ?? false,
    enableMemPattern: options.arena ?? false,
    logSeverityLevel: 3,
    ...(options.external && {
      externalData: Array.from(options.external, ([path, data]) => ({ path, data })),
    }),
    extra: { session },
  };
}

/** Interrupts wait while native code is on the stack: stopping there would abort the process. */
async function guarded<T>(call: () => Promise<T>): Promise<T> {
  lockNative();
  try {
    return await call();
  } finally {
    unlockNative();
  }
}
