import { ModalscopeError } from "../../errors.js";
import type { Experts } from "../experts/experts.js";
import type { Node } from "../graph/node.js";
import { gelu, geluTanh, mul, relu, sigmoid, silu } from "../graph/ops.js";
import type { BlockInputs, Scope } from "../layers.js";
import type { RawConfig, TextConfig } from "./config.js";
import type { VisionFamily } from "./vision.js";

/** One architecture: how its config is read and what its blocks and head compute. */
export interface Family {
  readonly modelTypes: readonly string[];
  /** Checkpoint name of the token embedding, of a block's weights and of the head's. */
  readonly names: {
    readonly embedding: string;
    readonly layer: (l: number) => string;
    readonly head: string;
  };
  /** How it sees, if it does. */
  readonly vision?: VisionFamily;
  /** @throws ModalscopeError for a config that this architecture cannot have */
  parse(raw: RawConfig): TextConfig;
  /** A block's mixture of experts, where it has one. */
  experts?(config: TextConfig, layer: number): Experts | undefined;
  /** Factor on the token embeddings. */
  embeddingScale(config: TextConfig): number;
  /** One decoder block: the residual stream in, the residual stream out. */
  block(config: TextConfig, layer: number, scope: Scope, inputs: BlockInputs): Node;
  /** Final norm and language head: (…, hidden_size) → logits (…, vocab_size). */
  head(config: TextConfig, scope: Scope, x: Node): Node;
}

/** Weight names of the text models that transformers saves. */
export const standardNames: Family["names"] = {
  embedding: "model.embed_tokens.weight",
  layer: (l) => `model.layers.${l}.`,
  head: "",
};

/** The language head's matrix: its own, or the token embedding's. */
export function headWeight(config: TextConfig, scope: Scope): Node {
  const name = config.tie_word_embeddings ? standardNames.embedding : "lm_head.weight";
  return scope.weight(name, [config.vocab_size, config.hidden_size]);
}

/** An activation function by its name in config.json. */
export function activation(name: string): (x: Node) => Node {
  const known: Record<string, (x: Node) => Node> = {
    silu,
    relu,
    gelu,
    gelu_pytorch_tanh: geluTanh,
    gelu_new: geluTanh,
    quick_gelu: (x) => mul(x, sigmoid(mul(x, 1.702))),
  };
  const found = known[name];
  if (found) return found;
  throw new ModalscopeError(
    `config.json asks for the activation "${name}".`,
    `Known are ${Object.keys(known).join(", ")}.`,
  );
}
