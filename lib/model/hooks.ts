import { didYouMean, ModalscopeError } from "../errors.js";
import type { Family, TextConfig } from "./families/index.js";
import type { Dim } from "./graph/node.js";
import { buildPiece, HEAD, type PieceId } from "./program.js";

/** A named point of the model, by TransformerLens' names. */
export interface Hook {
  readonly name: string;
  /** Where it is computed; the embedding and the residual stream lie between the pieces. */
  readonly piece: PieceId | "embed";
  /** Its name inside the piece: `attn.hook_q` of `blocks.3.attn.hook_q`. */
  readonly local: string;
  /** Lengths by name ("batch", "time", "keys") or number. */
  readonly shape: readonly Dim[];
}

/** Which axis of a hook's tensor counts tokens, and which heads. */
export function axesOf(hook: Hook): { time: number; head?: number } {
  const time = hook.shape.indexOf("time");
  if (hook.shape.length !== 4) return { time };
  return { time, head: time === 1 ? 2 : 1 };
}

/** Points of a block that lie between the graphs, where edits need no graph of their own. */
export const STREAM_HOOKS = ["hook_resid_pre", "hook_resid_post"] as const;

/** All hooks of a model, in the order in which they are computed. */
export function listHooks(family: Family, config: TextConfig): Hook[] {
  const residual: Dim[] = ["batch", "time", config.hidden_size];
  const hooks: Hook[] = [{ name: "hook_embed", piece: "embed", local: "hook_embed", shape: residual }];
  for (let l = 0; l < config.num_hidden_layers; l++) {
    const add = (local: string, shape: readonly Dim[]): void => {
      hooks.push({ name: `blocks.${l}.${local}`, piece: l, local, shape });
    };
    add("hook_resid_pre", residual);
    for (const [local, node] of buildPiece(family, config, l).taps) {
      if (!local.startsWith("present.")) add(local, node.shape);
    }
    add("hook_resid_post", residual);
  }
  for (const [local, node] of buildPiece(family, config, HEAD).taps) {
    hooks.push({ name: local, piece: HEAD, local, shape: node.shape });
  }
  return hooks;
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

function globExpression(glob: string): RegExp {
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
