import { didYouMean, ModalscopeError } from "../../errors.js";
import {
  buildPiece,
  type Family,
  hookPrefix,
  type PieceId,
  pieces,
  type TextConfig,
  visionBlock,
} from "../families/index.js";
import type { Dim } from "../graph/index.js";
import { EXPERT_INPUT, expertHooks } from "../nn/index.js";

/** A named point of the model, by TransformerLens' names. */
export interface Hook {
  readonly name: string;
  /** Piece in which it is computed; the embedding and the residual stream lie between the pieces. */
  readonly piece: PieceId | "embed";
  /** Its name inside the piece: `attn.hook_q` of `blocks.3.attn.hook_q`. */
  readonly local: string;
  /** Whether the piece's graph computes it; others lie between the graphs, where edits need no graph of their own. */
  readonly inside: boolean;
  /** Lengths by name ("batch", "time", "keys") or number. */
  readonly shape: readonly Dim[];
}

/** Which axis of a hook's tensor counts tokens, and which heads. */
export function axesOf(hook: Hook): { time: number; head?: number } {
  const time = hook.shape.findIndex((d) => d === "time" || d === "tokens" || d === "patches");
  if (hook.shape.length !== 4) return { time };
  return { time, head: time === 1 ? 2 : 1 };
}

/** Whether the last axis counts keys, as that of scores and patterns does. */
export function overKeys(hook: Hook): boolean {
  return axesOf(hook).time === 2;
}

/** All hooks of a model, in the order in which they are computed. */
export function listHooks(family: Family, config: TextConfig): Hook[] {
  const hooks: Hook[] = [];
  for (const id of pieces(config)) {
    const prefix = hookPrefix(id);
    const add = (local: string, shape: readonly Dim[], inside = false): void => {
      hooks.push({ name: prefix + local, piece: id, local, inside, shape });
    };
    const inner = (): void => {
      for (const [local, { shape }] of buildPiece(family, config, id).hookPoints) {
        if (!local.startsWith("present.") && local !== EXPERT_INPUT) add(local, withKeys(shape), true);
      }
    };
    const residual = (width: number): Dim[] => ["batch", "time", width];
    if (id === 0) {
      for (const local of ["hook_embed", ...(family.names.positions ? ["hook_pos_embed"] : [])])
        hooks.push({
          name: local,
          piece: "embed",
          local,
          inside: false,
          shape: residual(config.hidden_size),
        });
    }
    if (id === "vision.embed") add("hook_patches", ["batch", "patches", config.vision_config!.patchDim]);
    const width = streamWidth(config, id);
    if (width !== undefined) add("hook_resid_pre", residual(width));
    inner();
    const experts = typeof id === "number" ? family.experts?.(config, id) : undefined;
    if (experts) for (const [local, shape] of expertHooks(experts, config.hidden_size)) add(local, shape);
    if (injected(config, id)) add("hook_deepstack", residual(config.hidden_size));
    if (width !== undefined) add("hook_resid_post", residual(width));
  }
  return hooks;
}

/** Scores of the tower's blocks are (batch, heads, time, keys), as those of all blocks. */
function withKeys(shape: readonly Dim[]): readonly Dim[] {
  return shape.lastIndexOf("time") === 3 ? [...shape.slice(0, 3), "keys"] : shape;
}

/** Length of the stream's vectors through a block; undefined for other pieces. */
function streamWidth({ hidden_size, vision_config }: TextConfig, id: PieceId): number | undefined {
  if (typeof id === "number") return hidden_size;
  return visionBlock(id) === undefined ? undefined : vision_config!.hidden_size;
}

/** Whether visual features are added after a block (DeepStack). */
function injected({ vision_config }: TextConfig, id: PieceId): boolean {
  return vision_config?.readouts.some(({ toLayer }) => toLayer === id) ?? false;
}

/**
 * The hooks that a pattern names: `*` stands for any letters but dots, `**` for any letters,
 * `{2,5}` for alternatives, and a RegExp for itself.
 * @throws ModalscopeError naming the nearest hooks when nothing matches
 */
export function matchHooks(hooks: readonly Hook[], pattern: string | RegExp): Hook[] {
  const test = typeof pattern === "string" ? globExpression(pattern) : pattern;
  const found = hooks.filter(({ name }) => test.test(name));
  if (found.length > 0) return found;
  const candidates =
    typeof pattern !== "string" || !pattern.includes("*")
      ? hooks.map(({ name }) => name)
      : [...new Set(hooks.map(({ name }) => name.replace(/^blocks\.\d+\./, "blocks.*.")))];
  throw new ModalscopeError(
    `No hook is called "${pattern}".`,
    "",
    didYouMean(String(pattern), candidates) ||
      'model.hooks lists all names, such as "blocks.0.hook_resid_pre".',
  );
}

/** A pattern of dotted names as a regular expression. */
export function globExpression(glob: string): RegExp {
  const source = glob.replace(/\*\*|\*|\{[^{}]*\}|[.+?^$()|[\]\\{}]/g, (token) => {
    if (token === "**") return ".*";
    if (token === "*") return "[^.]*";
    if (token.length > 1)
      return `(?:${token
        .slice(1, -1)
        .split(",")
        .map((t) => t.trim())
        .join("|")})`;
    return `\\${token}`;
  });
  return new RegExp(`^${source}$`);
}

/** Whether a hook lies in the tower or the projector, where rows are images or tiles. */
export function isVisual({ piece }: Hook): boolean {
  return typeof piece === "string" && /^(vision|projector)(\.|$)/.test(piece);
}
