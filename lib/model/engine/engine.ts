import type { Session, Value } from "../../runtime/index.js";
import type { Tensor, TypedArray } from "../../tensor.js";
import type { Checkpoint } from "../checkpoint/index.js";
import {
  buildPiece,
  type Family,
  type GraphVariant,
  KEYS,
  type PieceId,
  type TextConfig,
} from "../families/index.js";
import type { Node } from "../graph/index.js";
import type { Hook } from "../hooks/index.js";
import { ADDED, CONDENSED_POINTS } from "../nn/index.js";
import type { EncodedImages } from "./encoded-images.js";
import type { ExpertStore } from "./expert-store.js";
import type { FloatType, GraphRequest, SessionPool } from "./pool.js";

/** A loaded checkpoint's moving parts, shared by everything that runs it. */
export interface Engine {
  readonly family: Family;
  readonly config: TextConfig;
  readonly checkpoint: Checkpoint;
  readonly hooks: readonly Hook[];
  readonly pool: SessionPool;
  /** Weights of experts where not all are held in memory: then they are inputs of one graph for all. */
  readonly experts: ExpertStore;
  readonly encodedImages: EncodedImages;
  readonly float: FloatType;
  /** True where all blocks are held in memory, repacked for speed; otherwise each is opened, run and closed. */
  readonly resident: boolean;
  /** Bytes of anonymous memory that all of it keeps to. */
  readonly memory: number;
  /** Bytes that the captures of one run may take. */
  readonly captureBytes: number;
  /** Bytes that one call of a block may work with before its rows or queries are taken in parts. */
  readonly workBytes: number;
  /** About as many tokens as one call of a block runs fastest on. */
  readonly chunkTokens: number;
  /** True where attention, norms and rotations can be one operation each if nothing inside them is asked for. */
  readonly fused: boolean;
}

/** The parts of an engine that a model's inputs depend on. */
export type ModelSpec = Pick<Engine, "family" | "config" | "float">;

/** Zeros of the engine's number type. In float64, the checking mode, these are really Float64Arrays. */
export function floats(engine: Pick<Engine, "float">, n: number): Float32Array {
  return engine.float === "float32" ? new Float32Array(n) : (new Float64Array(n) as unknown as Float32Array);
}

/** Runs `work` with the session of a piece; its outputs are `out` and every tap by its local name. */
export function withPiece<T>(
  engine: Engine,
  id: PieceId,
  variant: GraphVariant,
  work: (session: Session) => Promise<T>,
  prepack: GraphRequest["prepack"] = engine.resident && plain(variant),
): Promise<T> {
  const build = (): Record<string, Node> => {
    const { out, hookPoints } = buildPiece(engine.family, engine.config, id, variant);
    if (variant.only === "afterMlp") return { out, [ADDED]: hookPoints.get(ADDED)! };
    if (variant.condensed) {
      const named = [...hookPoints].filter(([name]) => CONDENSED_POINTS.has(name));
      return { ...Object.fromEntries(named), out };
    }
    if (variant.only === "keys") return Object.fromEntries(KEYS.map((name) => [name, hookPoints.get(name)!]));
    return { ...Object.fromEntries(hookPoints), ...(variant.only === "hookPoints" ? {} : { out }) };
  };
  return engine.pool.use({ key: `${id} ${JSON.stringify(variant)}`, build, prepack }, work);
}

/** Variants stay in the mapped file: a second repacked copy of the weights would cost too much memory. */
function plain({ edited, frozen }: GraphVariant): boolean {
  return !edited?.length && !frozen?.length;
}

/** Whole numbers as int64, all others as the engine's number type. */
export function toValue(engine: Pick<Engine, "float">, { data, shape }: Tensor<TypedArray>): Value {
  return { type: data instanceof BigInt64Array ? "int64" : engine.float, dims: shape, data };
}

export function fromValue(value: Value): Tensor {
  return { shape: value.dims, data: value.data as Float32Array };
}

/** Runs a session on tensors, feeding only the inputs that it has. */
export async function runSession(
  engine: Pick<Engine, "float">,
  session: Session,
  feeds: Readonly<Record<string, Tensor<TypedArray> | undefined>>,
  outputs: readonly string[],
): Promise<Record<string, Tensor>> {
  const values: Record<string, Value> = {};
  for (const name of session.inputNames) {
    const x = feeds[name];
    if (!x) throw new TypeError(`The graph's input "${name}" is not given.`);
    values[name] = toValue(engine, x);
  }
  const results = await session.run(values, outputs);
  return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromValue(value)]));
}
