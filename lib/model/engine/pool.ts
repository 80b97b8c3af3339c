import { basename, dirname } from "node:path";
import { createSession, type Device, type Session, type Value } from "../../runtime/index.js";
import { sizeOf } from "../../tensor.js";
import type { Checkpoint, WeightInfo } from "../checkpoint/index.js";
import { weightsOf } from "../families/index.js";
import { emitOnnx, type Node, type WeightBinding } from "../graph/index.js";
export type FloatType = "float32" | "float64";
export const ELEMENT_BYTES: Readonly<Record<FloatType, number>> = { float32: 4, float64: 8 };

export interface PoolOptions {
  readonly checkpoint: Pick<Checkpoint, "weights" | "read">;
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

  constructor(private readonly options: PoolOptions) {}

  /** Bytes of anonymous memory that the open sessions are counted with. */
  get bytes(): number {
    return this.usedBytes;
  }

  /** Runs `work` with the session of a graph, which stays open meanwhile. */
  async use<T>(request: GraphRequest, work: (session: Session) => Promise<T>): Promise<T> {
    const entry = this.enter({ ...request, prepack: request.prepack && this.canPrepack });
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
    const { checkpoint, device, float, threads } = this.options;
    const held: Record<string, Value> = {};
    const model = emitOnnx(outputs, { float, bind: (name) => this.bind(name, held) });
    this.freeBuffers = [];
    const weightsFolder = dirname(checkpoint.weights.values().next().value!.file);
    const fuse = float === "float32";
    const session = await createSession(model, { device, threads, prepack, weightsFolder, fuse });
    return {
      ...session,
      inputNames: session.inputNames.filter((name) => !(name in held)),
      run: (feeds, names) => session.run({ ...feeds, ...held }, names),
      weights: Object.values(held),
    };
  }

  /** A weight that cannot be mapped is an input on the CPU, which reads it in place: it is in memory once. */
  private bind(name: string, held: Record<string, Value>): WeightBinding {
    const { checkpoint, device } = this.options;
    const info = checkpoint.weights.get(name)!;
    if (this.isMapped(info)) {
      return {
        kind: "file",
        location: basename(info.file),
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

  private isMapped({ dtype, offset }: WeightInfo): boolean {
    return this.options.float === "float32" && dtype === "F32" && offset % 4 === 0;
  }

  /** Whether a session with repacked weights fits beside those that are open. */
  private fits(outputs: Readonly<Record<string, Node>>): boolean {
    return this.usedBytes + this.bytesOf(outputs, true) <= this.options.budget;
  }

  /** Anonymous bytes of a session: its repacked weights, and those that cannot be mapped. */
  private bytesOf(outputs: Readonly<Record<string, Node>>, prepack: boolean): number {
    const { checkpoint, device, float } = this.options;
    let bytes = SESSION_BYTES;
    for (const [name, shape] of weightsOf(Object.values(outputs))) {
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
