import { createSession, type Session, type SessionOptions } from "../runtime/index.js";
import type { ValueType } from "./scan.js";
import { type Cut, type Patched, patch, type Scanned } from "./splice-graph.js";

/** A session, and the ways into it and out of it. */
export interface OpenCut extends Omit<Patched, "bytes"> {
  readonly cut: Cut;
  readonly session: Session;
}

/** The sessions of one model, the least recently used first; no more than `most` stay open. */
export class Sessions {
  private readonly open: OpenCut[] = [];

  constructor(
    private readonly scanned: Scanned,
    private readonly types: ReadonlyMap<string, ValueType>,
    private readonly options: SessionOptions,
    private readonly most: number,
  ) {}

  /** A session that gives and edits at least what `cut` names, with the same outputs and inputs: one of those open, or a new one. */
  async at(cut: Cut): Promise<OpenCut> {
    const fitting = this.open
      .filter((one) => covers(one.cut, cut))
      .sort((a, b) => breadth(a.cut) - breadth(b.cut));
    const found = fitting[0] ?? (await this.create(cut));
    const place = this.open.indexOf(found);
    if (place >= 0) this.open.splice(place, 1);
    this.open.push(found);
    return found;
  }

  async close(): Promise<void> {
    for (const { session } of this.open.splice(0)) await session.release();
  }

  private async create(cut: Cut): Promise<OpenCut> {
    while (this.open.length >= this.most) await this.open.shift()!.session.release();
    const { bytes, ...ports } = patch(this.scanned, this.types, cut);
    const session = await createSession(bytes, this.options);
    return { ...ports, cut, session };
  }
}

function covers(has: Cut, needed: Cut): boolean {
  return (
    same(has.outputs, needed.outputs) &&
    same(has.fed, needed.fed) &&
    includesAll(has.captured, needed.captured) &&
    includesAll(has.edited, needed.edited)
  );
}

function same(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && includesAll(a, b);
}

function includesAll(set: ReadonlySet<string>, subset: ReadonlySet<string>): boolean {
  for (const name of subset) if (!set.has(name)) return false;
  return true;
}

function breadth(cut: Cut): number {
  return cut.captured.size + cut.edited.size;
}
