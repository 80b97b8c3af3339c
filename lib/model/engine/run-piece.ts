import type { TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { keyCount, type Pass } from "../batch/pass.js";
import type { CaptureRecorder } from "../captures/recorder.js";
import { affineInputs, applyEdits, isAffine, replacementInputs } from "../edits/apply.js";
import type { Plan } from "../edits/plan.js";
import { type GraphVariant, HEAD, type PieceId, visionBlock } from "../families/index.js";
import type { Hook } from "../hooks/index.js";
import { type Engine, floats, runSession, withPiece } from "./engine.js";

/** What happens besides computing while a pass runs. */
export interface RunContext extends TaskOptions {
  readonly plan: Plan;
  readonly recorder: CaptureRecorder;
  /** Keep each layer's rotated keys and values. */
  readonly useCache?: boolean;
}

/** Edits and captures a point between the pieces. */
export function hookPoint(
  engine: Engine,
  name: string,
  x: Tensor,
  pass: Pass,
  { plan, recorder }: RunContext,
): Tensor {
  const edits = plan.get(name);
  if (!edits && !recorder.wants(name)) return x;
  const hook = engine.hooks.find((h) => h.name === name)!;
  const out = applyEdits(x, hook, edits, pass);
  recorder.record(name, out, pass);
  return out;
}

/** Final norm and language head of (batch, n, hidden_size). `pass` tells which columns these are. */
export async function runHead(engine: Engine, pass: Pass, x: Tensor, company: RunContext): Promise<Tensor> {
  return (await runPiece(engine, HEAD, { x }, pass, company, [])).out;
}

/** Rows from which repacking the language head's matrix pays. */
const HEAD_ROWS = 16;

/** Runs a block or the head with its inner edits and captures. */
export async function runPiece(
  engine: Engine,
  id: PieceId,
  feeds: Readonly<Record<string, Tensor>>,
  pass: Pass,
  { plan, recorder }: RunContext,
  keep: readonly string[],
  base: GraphVariant = {},
): Promise<Record<string, Tensor>> {
  const { variant, inputs } = await resolveInnerEdits(engine, id, feeds, pass, plan, base);
  const wanted = engine.hooks.filter((h) => h.piece === id && h.inside && recorder.wants(h.name));
  const outputs = [...(base.only ? [] : ["out"]), ...keep, ...wanted.map((h) => h.local)];
  const results = await runVariant(engine, id, variant, { ...feeds, ...inputs }, [...new Set(outputs)]);
  for (const hook of wanted) recorder.record(hook.name, results[hook.local], pass);
  return results;
}

/**
 * The inner edits of a piece as a variant of its graph and that graph's inputs. Edits that depend on a value are
 * settled one by one: fetch the value, change it, and go on with it in place.
 */
export async function resolveInnerEdits(
  engine: Engine,
  id: PieceId,
  feeds: Readonly<Record<string, Tensor>>,
  pass: Pass,
  plan: Plan,
  base: GraphVariant,
): Promise<{ variant: GraphVariant; inputs: Record<string, Tensor> }> {
  const touched = engine.hooks.filter(
    (h) => h.piece === id && h.inside && plan.get(h.name)?.some(({ edit }) => edit.kind !== "blockAttention"),
  );
  let variant = base;
  const inputs: Record<string, Tensor> = {};
  for (const hook of touched) {
    const edits = plan.get(hook.name)!.filter(({ edit }) => edit.kind !== "blockAttention");
    const computed = async (): Promise<Tensor> =>
      (await runVariant(engine, id, variant, { ...feeds, ...inputs }, [hook.local]))[hook.local];
    const made = isAffine(edits)
      ? affineInputs(hook, shapeOf(hook, pass, feeds.x), edits, pass, (n) => floats(engine, n))
      : replacementInputs(applyEdits(await computed(), hook, edits, pass));
    inputs[`${hook.local}.scale`] = made.scale;
    inputs[`${hook.local}.shift`] = made.shift;
    variant = { ...variant, edited: [...(variant.edited ?? []), hook.local] };
  }
  return { variant, inputs };
}

/** Runs a piece's graph; its inputs are all that it needs. */
export function runVariant(
  engine: Engine,
  id: PieceId,
  variant: GraphVariant,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: readonly string[],
): Promise<Record<string, Tensor>> {
  const prepack = engine.resident && isCommonGraph(engine, id, variant, sizeOf(inputs.x.shape.slice(0, 2)));
  return withPiece(engine, id, variant, (session) => runSession(engine, session, inputs, outputs), prepack);
}

/** Whether a graph is the one that most runs need of a piece: that one's weights are repacked. */
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

/** The lengths of a hook's tensor in this pass. */
export function shapeOf(hook: Hook, pass: Pass, x: Tensor): number[] {
  const lengths: Record<string, number> = {
    batch: x.shape[0],
    // A class token joins the patches inside the embedding.
    time: hook.piece === "vision.embed" ? pass.seqLength : x.shape[1],
    patches: x.shape[1],
    tokens: pass.seqLength,
    keys: keyCount(pass),
  };
  return hook.shape.map((d) => (typeof d === "number" ? d : lengths[d]));
}
