/** Runs one piece of the model, a block or the head, with the edits and captures inside it. */
import { own } from "../../own.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { keyCount, type Pass } from "../batch/index.js";
import {
  affineInputs,
  applyEdits,
  type BoundEdit,
  isAffine,
  replacementInputs,
  withFeatureDeltas,
} from "../edits/index.js";
import { type GraphVariant, HEAD, type PieceId, visionBlock } from "../families/index.js";
import { scaleOf, shiftOf } from "../graph/index.js";
import type { Hook } from "../hooks/index.js";
import { type Engine, floats, runSession, withPiece } from "./engine.js";
import type { RunContext } from "./run-context.js";

/** Inputs of a piece's graph by name: `x`, and what its blocks share. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Edits and captures a hook that lies between the pieces, such as the residual stream. */
export function hookPoint(
  { engine, plan, recorder }: RunContext,
  name: string,
  x: Tensor,
  pass: Pass,
): Tensor {
  const edits = plan.get(name);
  if (!edits && !recorder.wants(name)) return x;
  const hook = engine.hooks.find((h) => h.name === name)!;
  const out = applyEdits(x, hook, edits, pass);
  recorder.record(name, out, pass);
  return out;
}

/** Logits (batch, n, vocab_size) of (batch, n, hidden_size); `pass` says which columns these are. */
export async function runHead(context: RunContext, pass: Pass, x: Tensor): Promise<Tensor> {
  return (await runPiece(context, HEAD, { x }, pass)).out;
}

/** Rows from which repacking the language head's matrix pays. */
const HEAD_ROWS = 16;

/** Outputs besides `out` that a caller needs of a piece, and the variant of its graph. */
interface PieceOptions {
  readonly outputs?: readonly string[];
  readonly variant?: GraphVariant;
}

/** Runs a piece with its inner edits and captures. */
export async function runPiece(
  context: RunContext,
  id: PieceId,
  feeds: Feeds,
  pass: Pass,
  { outputs = [], variant: base = {} }: PieceOptions = {},
): Promise<Record<string, Tensor>> {
  const { engine, recorder } = context;
  const { variant, inputs } = await resolveInnerEdits(context, id, feeds, pass, base);
  const captured = engine.hooks.filter((h) => h.piece === id && h.inside && recorder.wants(h.name));
  const names = [...(base.only ? [] : ["out"]), ...outputs, ...captured.map((h) => h.local)];
  const results = await runVariant(engine, id, variant, { ...feeds, ...inputs }, [...new Set(names)]);
  for (const hook of captured) recorder.record(hook.name, results[hook.local], pass);
  return results;
}

/**
 * The inner edits of a piece as a variant of its graph and that graph's inputs. Edits that depend on a value are
 * resolved one by one: fetch the value, change it, and go on with it in place.
 */
export async function resolveInnerEdits(
  { engine, plan }: RunContext,
  id: PieceId,
  feeds: Feeds,
  pass: Pass,
  base: GraphVariant = {},
): Promise<{ variant: GraphVariant; inputs: Record<string, Tensor> }> {
  // Features write after a block's keys and values: a graph of those alone has neither what they read nor what they change.
  const applies = ({ edit: { kind } }: BoundEdit): boolean =>
    kind !== "blockAttention" && !(kind === "features" && base.only === "keys");
  const touched = engine.hooks.filter((h) => h.piece === id && h.inside && plan.get(h.name)?.some(applies));
  let variant = base;
  const inputs: Record<string, Tensor> = {};
  for (const hook of touched) {
    const shape = shapeOf(hook, pass, feeds.x);
    const read = async (local: string): Promise<Tensor> =>
      (await runVariant(engine, id, variant, { ...feeds, ...inputs }, [local]))[local];
    const given = plan.get(hook.name)!.filter(applies);
    const edits = await withFeatureDeltas(given, { hook, shape, pass, read });
    const made = isAffine(edits)
      ? affineInputs(hook, shape, edits, pass, (n) => floats(engine, n))
      : replacementInputs(applyEdits(await read(hook.local), hook, edits, pass));
    inputs[scaleOf(hook.local)] = made.scale;
    inputs[shiftOf(hook.local)] = made.shift;
    variant = { ...variant, edited: [...(variant.edited ?? []), hook.local] };
  }
  return { variant, inputs };
}

/** Runs a piece's graph on inputs that are complete. */
export function runVariant(
  engine: Engine,
  id: PieceId,
  variant: GraphVariant,
  inputs: Feeds,
  outputs: readonly string[],
): Promise<Record<string, Tensor>> {
  const prepack = engine.resident && isCommonGraph(engine, id, variant, sizeOf(inputs.x.shape.slice(0, 2)));
  return withPiece(engine, id, variant, (session) => runSession(engine, session, inputs, outputs), prepack);
}

/** True for the graph that most runs need of a piece: that one's weights are repacked. */
function isCommonGraph(
  { fusedAttention }: Engine,
  id: PieceId,
  variant: GraphVariant,
  rows: number,
): boolean {
  if (variant.edited || variant.only === "keys") return false;
  if (id === HEAD) return rows >= HEAD_ROWS;
  return visionBlock(id) === undefined || fusedAttention === (variant.fused ?? false);
}

/** Shape of a hook's tensor in this pass. */
export function shapeOf(hook: Hook, pass: Pass, x: Tensor): number[] {
  const lengths: Record<string, number> = {
    batch: x.shape[0],
    // A class token joins the patches inside the embedding.
    time: hook.piece === "vision.embed" ? pass.seqLength : x.shape[1],
    patches: x.shape[1],
    tokens: pass.seqLength,
    keys: keyCount(pass),
  };
  return hook.shape.map((d) => (typeof d === "number" ? d : own(lengths, d)!));
}
