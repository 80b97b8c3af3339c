import type { PlantedWeights } from "../weights.js";

/** One way for an image to reach the answer, or not to. */
export interface VisionMechanism {
  /** Result that a study should find, in one sentence. */
  readonly truth: string;
  /** The block that decides, of so many; undefined where none does. */
  readonly decides: (layers: number) => number | undefined;
  /** Factor by which DeepStack's mergers multiply the colour (default 0: DeepStack adds nothing). */
  readonly deepstack?: number;
  /** Additional weight of "red" in the head, by which it wins where nothing is known (default 0.05). */
  readonly preference?: number;
  /** Whether the question names the colour that it asks for. */
  readonly hinted?: boolean;
  /** Writes the mechanism into a model of so many blocks that do nothing; `decides` is the block that decides. */
  plant(w: PlantedWeights, layers: number, decides: number): void;
}

/** The block at a share of the depth. */
export function blockAt(share: number): (layers: number) => number {
  return (layers) => Math.floor(share * layers);
}
