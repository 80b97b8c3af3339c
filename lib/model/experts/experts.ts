/** Small gated MLPs beside each other, of which a router gives each token a few. */
export interface Experts {
  /** How many there are. */
  readonly count: number;
  /** How many each token gets. */
  readonly perToken: number;
  /** Length of the vectors inside an expert. */
  readonly inner: number;
  /** Whether the weights of a token's experts are divided by their sum. */
  readonly normalised: boolean;
  readonly hidden_act: string;
  /** How transformers saves their weights in checkpoints of this family. */
  readonly savedAs: "separate" | "linear";
}
