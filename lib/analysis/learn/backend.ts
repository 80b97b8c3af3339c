/** `tensorflow`: the native library, on a GPU or the CPU. `wasm`: portable, one thread, SIMD. `cpu`: plain JavaScript. */
export type BackendName = "tensorflow" | "wasm" | "cpu";

/** How the tfjs that learning runs on was chosen. */
export interface LearningBackend {
  readonly name: BackendName;
  /** The package that brought it. */
  readonly package: string;
  /** Whether it computes on a GPU. */
  readonly gpu: boolean;
  /** What was tried before it, and why each did not load. */
  readonly skipped: readonly { readonly package: string; readonly why: string }[];
}

/** One line for a notebook: which back end learns, and why the faster ones do not. */
export function describeBackend(backend: LearningBackend): string {
  const place = backend.gpu ? " on the GPU" : "";
  const why = backend.skipped.map(({ package: name, why }) => `${name}: ${why}`).join("; ");
  return `tfjs learns on ${backend.name}${place} (${backend.package})${why === "" ? "" : `; not on ${why}`}.`;
}
