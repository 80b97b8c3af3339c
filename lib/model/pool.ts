import { basename, dirname } from "node:path";
import type { Node } from "./graph/node.js";
import { emitOnnx, type WeightBinding } from "./graph/onnx.js";
import { weightsOf } from "./program.js";
import { createSession, type Device, type Session } from "./runtime/session.js";
import type { Checkpoint } from "./weights/index.js";

export type FloatType = "float32" | "float64";

export interface PoolOptions {
  readonly checkpoint: Checkpoint;
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
  /** Repack the weights for speed, at the cost of a copy in memory. */
  readonly prepack: boolean;
}

interface Entry {
  readonly session: Promise<Session>;
  readonly bytes: number;
  users: number;
}

/** What a session without weights of its own takes, measured. */
const SESSION_BYTES = 2 ** 20;

/** A weight that cannot be mapped is held as it is read, in the model's bytes, and by the runtime, until all is collected. */
const INLINE_COPIES = 3;

/**
 * Open sessions, the least recently used closed first where the budget is reached.
 * A session larger than the whole budget is opened for one use and closed: that is streaming.
 */
export class SessionPool {
  private readonly entries = new Map<string, Entry>();
  private held = 0;
  private closed = false;

  constructor(private readonly options: PoolOptions) {}

  /** Bytes of anonymous memory that the open sessions are counted with. */
  get bytes(): number {
    return this.held;
  }

  /** Whether all these weights could be held repacked at once. */
  fits(bytes: number): boolean {
    return bytes <= this.options.budget;
  }

  /** Runs `work` with the session of a graph, which stays open meanwhile. */
  async use<T>(request: GraphRequest, work: (session: Session) => Promise<T>): Promise<T> {
    const entry = this.enter(request);
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
  }

  private enter(request: GraphRequest): Entry {
    const known = this.entries.get(request.key);
    if (known) {
      // Moving the entry to the end keeps the map in order of last use.
      this.entries.delete(request.key);
      this.entries.set(request.key, known);
      known.users++;
      return known;
    }
    const outputs = request.build();
    const bytes = this.sizeOf(outputs, request.prepack);
    // The place is taken before anything is awaited: a call beside this one must find it.
    this.held += bytes;
    const session = this.shrink(this.options.budget).then(() => this.open(outputs, request.prepack));
    const entry: Entry = { session, bytes, users: 1 };
    this.entries.set(request.key, entry);
    session.catch(() => this.forget(request.key, entry));
    return entry;
  }

  private open(outputs: Readonly<Record<string, Node>>, prepack: boolean): Promise<Session> {
    const { checkpoint, device, float, threads } = this.options;
    const model = emitOnnx(outputs, { float, bind: (name) => this.bind(name) });
    const weightsFolder = dirname(checkpoint.weights.values().next().value!.file);
    return createSession(model, { device, threads, prepack, weightsFolder, fuse: float === "float32" });
  }

  private bind(name: string): WeightBinding {
    const { checkpoint, float } = this.options;
    const info = checkpoint.weights.get(name)!;
    if (float === "float64") return { kind: "inline", data: Float64Array.from(checkpoint.read(name)) };
    if (info.dtype !== "F32" || info.offset % 4 !== 0) return { kind: "inline", data: checkpoint.read(name) };
    return { kind: "file", location: basename(info.file), offset: info.offset, byteLength: info.byteLength };
  }

  /** Anonymous bytes of a session: its repacked weights, and those that cannot be mapped. */
  private sizeOf(outputs: Readonly<Record<string, Node>>, prepack: boolean): number {
    const { checkpoint, device, float } = this.options;
    let bytes = SESSION_BYTES;
    for (const [name, shape] of weightsOf(Object.values(outputs))) {
      const mapped = float === "float32" && device === "cpu" && checkpoint.weights.get(name)?.dtype === "F32";
      const matrix = shape.length > 1;
      const size = shape.reduce((a, b) => a * b, float === "float64" ? 8 : 4);
      if (!mapped) bytes += INLINE_COPIES * size;
      else if (prepack && matrix) bytes += size;
    }
    return bytes;
  }

  private async shrink(limit: number): Promise<void> {
    for (const [key, entry] of this.entries) {
      if (this.held <= limit) return;
      if (entry.users > 0) continue;
      this.forget(key, entry);
      await (await entry.session).release();
    }
  }

  private forget(key: string, entry: Entry): void {
    if (this.entries.get(key) !== entry) return;
    this.entries.delete(key);
    this.held -= entry.bytes;
  }
}
