import { createSession, type Device, type Session, type Value } from "../../runtime/index.js";
import { sizeOf } from "../../tensor.js";
import { type Checkpoint, quantisedBytes, type WeightInfo } from "../checkpoint/index.js";
import { weightsOf } from "../families/index.js";
import { emitOnnx, type Node, nameOf, sorted, type WeightBinding } from "../graph/index.js";
import { type MappedFiles, mappedFiles } from "./mapped-files.js";

export type FloatType = "float32" | "float64";
export const ELEMENT_BYTES: Readonly<Record<FloatType, number>> = { float32: 4, float64: 8 };

/** Weights that stay as they are quantised in the file, where the runtime computes with them. */
export interface QuantisedOptions {
  readonly read: Checkpoint["readQuantised"];
  /** Rounds a product's inputs to 8 bits as well. */
  readonly int8: boolean;
}

export interface PoolOptions {
  readonly checkpoint: Pick<Checkpoint, "weights" | "read">;
  readonly quantised?: QuantisedOptions;
  readonly device: Device;
  readonly float: FloatType;
  readonly threads?: number;
  /** Bytes of anonymous memory that open sessions may hold together. */
  readonly budget: number;
}

/** A graph to open as a session. */
export interface GraphRequest {
  /** Names the graph: requests with the same key must build the same graph. */
  readonly key: string;
  readonly build: () => Readonly<Record<string, Node>>;
  /**
   * Repack the weights for speed, at the cost of a copy in memory; "if it fits": where no other session must close
   * for it. A session that is open so serves all wishes.
   */
  readonly prepack: boolean | "if it fits";
}

interface Entry {
  readonly session: Promise<OpenSession>;
  readonly bytes: number;
  users: number;
}

/** A session with the weights that it is given at each run. */
interface OpenSession extends Session {
  readonly weights: readonly Value[];
}

/** Bytes of a session without weights of its own, measured. */
const SESSION_BYTES = 2 ** 20;

/**
 * A weight inside the model's bytes for a GPU: as it is read, in those bytes, and by the runtime, until all is
 * collected.
 */
const INLINE_COPIES = 3;

/**
 * Open sessions, the least recently used closed first where the budget is reached.
 * A session larger than the whole budget is opened for one use and closed: that is streaming.
 */
export class SessionPool {
  private readonly entries = new Map<string, Entry>();
  private usedBytes = 0;
  private closed = false;
  /** Weights of the session released last: the next one, such as the next block, is read into their memory. */
  private freeBuffers: Value[] = [];
  private readonly files: MappedFiles;

  constructor(private readonly options: PoolOptions) {
    this.files = mappedFiles(Array.from(options.checkpoint.weights.values(), ({ file }) => file));
  }

  /** Bytes of anonymous memory that the open sessions are counted with. */
  get bytes(): number {
    return this.usedBytes;
  }

  /** Runs `work` with the session of a graph, which stays open meanwhile. */
  async use<T>(request: GraphRequest, work: (session: Session) => Promise<T>): Promise<T> {
    // The runtime computes with 8 bits in its own layout only.
    const prepack = this.options.quantised !== undefined || (request.prepack && this.canPrepack);
    const entry = this.enter({ ...request, prepack });
    try {
      return await work(await entry.session);
    } finally {
      entry.users--;
      await this.shrink(this.closed ? -1 : this.options.budget);
    }
  }

  /** Releases every session; those in use are released by their last user. */
  async close(): Promise<void> {
    this.closed = true;
    await this.shrink(-1);
    this.freeBuffers = [];
  }

  /** Only initialisers are repacked: weights that cannot be mapped are inputs on the CPU. */
  private get canPrepack(): boolean {
    const { checkpoint, device } = this.options;
    return device !== "cpu" || [...checkpoint.weights.values()].some((info) => this.isMapped(info));
  }

  private enter(request: GraphRequest): Entry {
    const packed = `${request.key} packed`;
    const either = request.prepack !== true;
    const known = [packed, ...(either ? [request.key] : [])].find((key) => this.entries.has(key));
    if (known !== undefined) {
      const entry = this.entries.get(known)!;
      // Moving the entry to the end keeps the map in order of last use.
      this.entries.delete(known);
      this.entries.set(known, entry);
      entry.users++;
      return entry;
    }
    const outputs = request.build();
    const prepack = request.prepack === "if it fits" ? this.fits(outputs) : request.prepack;
    const key = prepack ? packed : request.key;
    const bytes = this.bytesOf(outputs, prepack);
    // Reserve the slot before awaiting: a concurrent call must find it.
    this.usedBytes += bytes;
    const session = this.shrink(this.options.budget).then(() => this.open(outputs, prepack));
    const entry: Entry = { session, bytes, users: 1 };
    this.entries.set(key, entry);
    session.catch(() => this.forget(key, entry));
    return entry;
  }

  private async open(outputs: Readonly<Record<string, Node>>, prepack: boolean): Promise<OpenSession> {
    const { device, float, threads, quantised } = this.options;
    const held: Record<string, Value> = {};
    const inProducts = quantised === undefined ? new Set<string>() : readByLinearOnly(Object.values(outputs));
    const bind = (name: string): WeightBinding =>
      (inProducts.has(name) ? this.bindQuantised(name) : undefined) ?? this.bind(name, held);
    const external = quantised && new Map<string, Uint8Array>();
    const model = emitOnnx(outputs, { float, bind, external });
    this.freeBuffers = [];
    const weightsFolder = this.files.folder;
    const fuse = float === "float32";
    const session = await createSession(model, { device, threads, prepack, weightsFolder, fuse, external });
    return {
      ...session,
      inputNames: session.inputNames.filter((name) => !(name in held)),
      run: (feeds, names) => session.run({ ...feeds, ...held }, names),
      weights: Object.values(held),
    };
  }

  private bindQuantised(name: string): WeightBinding | undefined {
    const { read, int8 } = this.options.quantised!;
    const matrix = read(name);
    return matrix && { kind: "quantised", matrix: { ...matrix, int8 } };
  }

  /** A weight that cannot be mapped is an input on the CPU, which reads it in place: it is in memory once. */
  private bind(name: string, held: Record<string, Value>): WeightBinding {
    const { checkpoint, device } = this.options;
    const info = checkpoint.weights.get(name)!;
    if (this.isMapped(info)) {
      return {
        kind: "file",
        location: this.files.locationOf(info.file),
        offset: info.offset,
        byteLength: info.byteLength,
      };
    }
    const data = this.read(name, sizeOf(info.shape));
    if (device !== "cpu") return { kind: "inline", data };
    held[name] = { type: this.options.float, dims: info.shape, data };
    return { kind: "input" };
  }

  private read(name: string, length: number): Float32Array | Float64Array {
    const { checkpoint, float } = this.options;
    const i = this.freeBuffers.findIndex(({ data }) => data.length === length);
    const into = i < 0 ? undefined : this.freeBuffers.splice(i, 1)[0].data;
    if (float === "float32") return checkpoint.read(name, into as Float32Array | undefined);
    const wide = (into as Float64Array | undefined) ?? new Float64Array(length);
    wide.set(checkpoint.read(name));
    return wide;
  }

  private isMapped({ dtype, offset, inverse }: WeightInfo): boolean {
    const { float, quantised } = this.options;
    // The runtime takes external weights from files or from memory, not from both.
    if (quantised !== undefined || inverse !== undefined) return false;
    return float === "float32" && dtype === "F32" && offset % 4 === 0;
  }

  /** Whether a session with repacked weights fits beside those that are open. */
  private fits(outputs: Readonly<Record<string, Node>>): boolean {
    return this.usedBytes + this.bytesOf(outputs, true) <= this.options.budget;
  }

  /** Anonymous bytes of a session: its repacked weights, and those that cannot be mapped. */
  private bytesOf(outputs: Readonly<Record<string, Node>>, prepack: boolean): number {
    const { checkpoint, device, float, quantised } = this.options;
    let bytes = SESSION_BYTES;
    const nodes = Object.values(outputs);
    const inProducts = quantised === undefined ? new Set<string>() : readByLinearOnly(nodes);
    for (const [name, shape] of weightsOf(nodes)) {
      const kept = inProducts.has(name) ? heldBytes(checkpoint.weights.get(name)!) : undefined;
      if (kept !== undefined) {
        bytes += kept;
        continue;
      }
      const size = sizeOf(shape) * ELEMENT_BYTES[float];
      if (device !== "cpu") bytes += INLINE_COPIES * size;
      else if (!this.isMapped(checkpoint.weights.get(name)!)) bytes += size;
      else if (prepack && shape.length > 1) bytes += size;
    }
    return bytes;
  }

  private async shrink(limit: number): Promise<void> {
    for (const [key, entry] of this.entries) {
      if (this.usedBytes <= limit) return;
      if (entry.users > 0) continue;
      this.forget(key, entry);
      const session = await entry.session;
      await session.release();
      this.freeBuffers = [...session.weights];
    }
  }

  private forget(key: string, entry: Entry): void {
    if (this.entries.get(key) !== entry) return;
    this.entries.delete(key);
    this.usedBytes -= entry.bytes;
  }
}

/** Bytes of a matrix that stays quantised: as the runtime has it repacked; undefined where its type cannot. */
export function heldBytes({ dtype, shape }: WeightInfo): number | undefined {
  return shape.length === 2 ? quantisedBytes(dtype, sizeOf(shape)) : undefined;
}

/** Weights of which a graph only takes products with inputs. */
function readByLinearOnly(outputs: readonly Node[]): Set<string> {
  const found = new Set<string>();
  const otherwise = new Set<string>();
  for (const node of sorted(outputs)) {
    node.inputs.forEach((operand, i) => {
      if (operand.op !== "Weight") return;
      (node.op === "Linear" && i === 1 ? found : otherwise).add(nameOf(operand));
    });
  }
  for (const name of otherwise) found.delete(name);
  return found;
}
