import { createRequire } from "node:module";
import { dirname } from "node:path";
import type * as Tf from "@tensorflow/tfjs-core";
import { ModalscopeError } from "../../errors.js";

/**
 * The core of tfjs, on the back end that was chosen. It has a file of its own, and the package an entry of its own
 * (`modalscope/tfjs`), because tfjs' declarations are larger than all of this package's.
 *
 * Layers and derivatives by `tf.grad` or `minimize` come with the whole of tfjs, which is 230 MB more: install and import
 * `@tensorflow/tfjs` 4.22.0, and it runs on the back end chosen here.
 */
export interface TfjsBackend extends LearningBackend {
  readonly tf: typeof Tf;
}

interface Candidate {
  readonly name: BackendName;
  readonly package: string;
  /** Registers the back end with tfjs; throws when it cannot. */
  readonly load: (tf: typeof Tf) => void;
}

// CommonJS on purpose: danfojs and the native packages require tfjs, and an import beside it could give a second copy.
const require = createRequire(import.meta.url);

const candidates: readonly Candidate[] = [
  {
    name: "tensorflow",
    package: "@tensorflow/tfjs-node-gpu",
    load: (tf) => loadNative(tf, "@tensorflow/tfjs-node-gpu"),
  },
  {
    name: "tensorflow",
    package: "@tensorflow/tfjs-node",
    load: (tf) => loadNative(tf, "@tensorflow/tfjs-node"),
  },
  { name: "wasm", package: "@tensorflow/tfjs-backend-wasm", load: loadWasm },
  {
    name: "cpu",
    package: "@tensorflow/tfjs-backend-cpu",
    load: () => require("@tensorflow/tfjs-backend-cpu"),
  },
];

/**
 * tfjs on the fastest back end that loads here: native on a GPU, native on the CPU, WebAssembly, plain JavaScript.
 * tfjs has one active back end per process: a later call with another `only` switches it for all.
 * @param only this back end or none.
 * @throws ModalscopeError when `only` does not load.
 */
export async function learningBackend(only?: BackendName): Promise<TfjsBackend> {
  const tf = require("@tensorflow/tfjs-core") as typeof Tf;
  const skipped: { package: string; why: string }[] = [];
  for (const candidate of candidates) {
    if (only !== undefined && candidate.name !== only) continue;
    try {
      candidate.load(tf);
      if (!(await tf.setBackend(candidate.name)))
        throw new Error(`its ${candidate.name} back end did not start`);
      return { tf, name: candidate.name, package: candidate.package, gpu: usesGpu(tf), skipped };
    } catch (error) {
      skipped.push({ package: candidate.package, why: firstLine(error) });
    }
  }
  throw new ModalscopeError(
    `No ${only ?? "learning"} back end loads.`,
    skipped.map(({ package: name, why }) => `${name}: ${why}.`).join(" "),
    only === undefined ? "" : "Leave the choice out to take the best that does.",
  );
}

function loadNative(tf: typeof Tf, name: string): void {
  // The native packages call two functions that Node 23 took out of util.
  const util = require("node:util") as Record<string, unknown>;
  util.isNullOrUndefined ??= (x: unknown) => x === null || x === undefined;
  util.isArray ??= Array.isArray;
  require(name);
  if (tf.findBackendFactory("tensorflow") === null) {
    throw new Error("it is the portable stand-in, with no native library in it");
  }
}

function loadWasm(): void {
  const wasm = require("@tensorflow/tfjs-backend-wasm") as { setWasmPaths(folder: string): void };
  // Its own default is a path beside the running script, and in a browser a network address.
  wasm.setWasmPaths(`${dirname(require.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
}

function usesGpu(tf: typeof Tf): boolean {
  return (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}

/** `tensorflow`: the native library, on a GPU or the CPU. `wasm`: portable, one thread, SIMD. `cpu`: plain JavaScript. */
export type BackendName = "tensorflow" | "wasm" | "cpu";

/** The back end of tfjs that learning runs on, and how it was chosen. */
export interface LearningBackend {
  readonly name: BackendName;
  /** The package that brought it. */
  readonly package: string;
  /** True when it computes on a GPU. */
  readonly gpu: boolean;
  /** Packages that were tried before it, each with the reason why it did not load. */
  readonly skipped: readonly { readonly package: string; readonly why: string }[];
}

/** One line for a notebook: which back end learns, and why the faster ones do not. */
export function describeBackend(backend: LearningBackend): string {
  const place = backend.gpu ? " on the GPU" : "";
  const why = backend.skipped.map(({ package: name, why }) => `${name}: ${why}`).join("; ");
  return `tfjs learns on ${backend.name}${place} (${backend.package})${why === "" ? "" : `; not on ${why}`}.`;
}
