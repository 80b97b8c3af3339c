/** Runs one piece of the model, a block or the head, with the edits and captures inside it. */
import { own } from "../../own.js";
import type { Session } from "../../runtime/index.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { keyCount, type Pass } from "../batch/index.js";
import {
  affineInputs,
  applyEdits,
  type BoundEdit,
  featuresRead,
  isAffine,
  replacementInputs,
  withFeatureDeltas,
} from "../edits/index.js";
import { AFTER_MLP, type GraphVariant, HEAD, type PieceId, visionBlock } from "../families/index.js";
import { frozenInput, scaleOf, shiftOf } from "../graph/index.js";
import type { Hook } from "../hooks/index.js";
import { CONDENSED_POINTS, RESID_MID } from "../nn/index.js";
import { type Engine, floats, runSession, withPiece } from "./engine.js";
import type { GraphRequest } from "./pool.js";
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
  const captured = engine.hooks.filter((h) => h.piece === id && h.inside && recorder.wants(h.name));
  const names = [...new Set([...(base.only ? [] : ["out"]), ...outputs, ...captured.map((h) => h.local)])];
  const site = featureSite(context, id, names, base);
  const results = site
    ? await runWithFeatures(context, site, feeds, pass, names)
    : await runEdited(context, id, feeds, pass, { outputs: names, variant: base });
  for (const hook of captured) recorder.record(hook.name, results[hook.local], pass);
  return results;
}

/** A piece with its edits inside its graph. */
async function runEdited(
  context: RunContext,
  id: PieceId,
  feeds: Feeds,
  pass: Pass,
  { outputs = [], variant: base = {} }: PieceOptions,
): Promise<Record<string, Tensor>> {
  const { variant, inputs } = await resolveInnerEdits(context, id, feeds, pass, base);
  return runVariant(context.engine, id, variant, { ...feeds, ...inputs }, outputs);
}

/**
 * The hook of a block that features write to, where nothing else in the block is edited, and nothing between this and
 * the block's end is asked for.
 */
function featureSite(
  { engine, plan }: RunContext,
  id: PieceId,
  names: readonly string[],
  { only }: GraphVariant,
): Hook | undefined {
  if (typeof id !== "number" || only || names.some((name) => name.startsWith("ln2_post."))) return undefined;
  const [site, ...others] = engine.hooks.filter((h) => h.piece === id && h.inside && plan.has(h.name));
  if (!site || others.length > 0) return undefined;
  return plan.get(site.name)!.every(({ edit }) => edit.kind === "features") ? site : undefined;
}

/** A block whose features are edited: once as it is, and what follows the MLP again with what they write. */
async function runWithFeatures(
  { engine, plan }: RunContext,
  site: Hook,
  feeds: Feeds,
  pass: Pass,
  names: readonly string[],
): Promise<Record<string, Tensor>> {
  const id = site.piece as number;
  const edits = plan.get(site.name)!;
  const read = edits.flatMap(({ edit }) => featuresRead(edit, id));
  const after = names.filter((name) => AFTER_MLP.includes(name) && name !== site.local);
  const before = names.filter((name) => !after.includes(name));
  const first = await runVariant(engine, id, {}, feeds, [
    ...new Set([...before, ...read, RESID_MID, site.local]),
  ]);
  const { shape } = first[site.local];
  const from = { hook: site, shape, pass, read: async (local: string) => first[local] };
  const value = applyEdits(first[site.local], site, await withFeatureDeltas(edits, from), pass);
  const given = { [frozenInput(RESID_MID)]: first[RESID_MID], [frozenInput(site.local)]: value };
  const variant = {
    frozen: [RESID_MID, site.local],
    only: "afterMlp",
    condensed: engine.fused,
  } as const;
  const run = (session: Session): Promise<Feeds> => runSession(engine, session, given, after);
  const rest = await withPiece(engine, id, variant, run, false);
  const all = Object.entries({ ...first, ...rest, [site.local]: value });
  return Object.fromEntries(all.filter(([name]) => names.includes(name)));
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
  const form = canCondense(engine, id, variant, outputs) ? { ...variant, condensed: true } : variant;
  const rows = sizeOf(inputs.x.shape.slice(0, 2));
  const prepack = engine.resident && repacked(engine, id, form, rows);
  return withPiece(engine, id, form, (session) => runSession(engine, session, inputs, outputs), prepack);
}

/** Whether all that is asked of a block, and edited in it, is named in its condensed graph. */
function canCondense(
  { fused }: Engine,
  id: PieceId,
  { edited = [], frozen, only }: GraphVariant,
  outputs: readonly string[],
): boolean {
  if (!fused || typeof id !== "number" || frozen || only) return false;
  return [...outputs, ...edited].every((name) => name === "out" || CONDENSED_POINTS.has(name));
}

/** Whether a graph's weights are repacked: those of the graph that most runs need of a piece, and of others where they fit. */
function repacked(
  { fused }: Engine,
  id: PieceId,
  variant: GraphVariant,
  rows: number,
): GraphRequest["prepack"] {
  if (variant.edited || variant.only === "keys") return false;
  if (id === HEAD) return rows >= HEAD_ROWS;
  if (typeof id === "number") return fused === (variant.condensed ?? false) || "if it fits";
  return visionBlock(id) === undefined || fused === (variant.fused ?? false);
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
