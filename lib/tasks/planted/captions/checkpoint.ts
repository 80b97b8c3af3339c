/**
 * Captioners built by hand whose hallucinations have a known cause: at one block a prior, which knows nothing of the image,
 * is written where the image's colour is read. It wins over colours that are painted faintly.
 */
import { ModalscopeError } from "../../../errors.js";
import type { Tensor } from "../../../tensor.js";
import type { AmberAnnotation } from "../../scoring/amber.js";
import type { VisualTask } from "../../visual-task.js";
import { axis, PLANTED_COLOURS, type PlantedColour, WIDTH } from "../vision/axes.js";
import { plantExpert, plantLook, plantRoute, quietBlock, READ_COLOUR } from "../vision/blocks.js";
import { plantedVisionConfig, plantedVisionFiles } from "../vision/checkpoint.js";
import { plantTower } from "../vision/tower.js";
import { END, idOf, plantWords } from "../vision/words.js";
import { PlantedWeights } from "../weights.js";
import { drawColours } from "./images.js";

/**
 * Order of the two blocks that write the colour.
 * - `prior`: the image is read early, and the prior injected late: faint colours are named rightly up to there.
 * - `reversed`: the prior stands from the beginning, and the image is read late: it corrects all but the faint colours.
 */
export type PlantedCaptionKind = "prior" | "reversed";

export const PLANTED_CAPTION_KINDS: readonly PlantedCaptionKind[] = ["prior", "reversed"];

/** A captioner, its images and its truth. */
export interface PlantedCaptions {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Map<string, Tensor>;
  /** The other files of the folder, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** The prompt, which asks for a description. */
  readonly prompt: string;
  /** Images of one colour, half of them faint, and what is there. */
  readonly images: (count: number, seed: number) => readonly VisualTask<AmberAnnotation>[];
  /** Result that a study should find, in one sentence. */
  readonly truth: string;
  /** The blocks that read the image and inject the prior. */
  readonly reads: number;
  readonly injects: number;
}

const LAYERS = 16;
const EARLY = 2;
const LATE = 12;
/** The prior's words for every image. */
const EXPECTED: PlantedColour = "red";
/**
 * Gain of the expert that injects: more than what a faint colour writes and less than what a full one does. What is known
 * already shrinks what an expert behind the norm adds, so the later one needs more.
 */
const GAIN: Readonly<Record<PlantedCaptionKind, number>> = { prior: 0.15, reversed: 0.09 };
/** The expert that injects, and one that is chosen beside it and does nothing. */
const EXPERTS = [3, 4] as const;

/** Successors in the one sentence "the image is COLOUR .". */
const SENTENCE = [
  ["assistant", "the"],
  ["the", "image"],
  ["image", "is"],
  [".", END],
] as const;

/**
 * Builds a captioner; equal seeds give equal weights.
 * @throws ModalscopeError for an unknown kind
 */
export function plantedCaptions(kind: PlantedCaptionKind, seed = 0): PlantedCaptions {
  if (!PLANTED_CAPTION_KINDS.includes(kind))
    throw new ModalscopeError(
      `Unknown planted captioner "${kind}".`,
      `There are ${PLANTED_CAPTION_KINDS.join(", ")}.`,
    );
  const [reads, injects] = kind === "prior" ? [EARLY, LATE] : [LATE, EARLY];
  const w = new PlantedWeights(seed);
  plantTower(w, 0);
  plantWords(w, 0, ".");
  plantSentence(w);
  for (let layer = 0; layer < LAYERS; layer++) quietBlock(w, layer);
  w.ones("model.norm.weight", WIDTH);
  plantLook(w, reads, READ_COLOUR);
  plantPrior(w, injects, GAIN[kind]);
  return {
    config: plantedVisionConfig(LAYERS),
    weights: w.tensors,
    files: plantedVisionFiles(),
    prompt: "what is the image ?",
    images: (count, drawn) => drawColours(count, drawn, EXPECTED),
    truth:
      kind === "prior"
        ? "Hallucinations come from the prior, which one late block injects over what was read rightly."
        : "Hallucinations are what the image, read late, does not correct.",
    reads,
    injects,
  };
}

/** Each word of the sentence tells its successor; "is" has none: there the colour is read off the answer's axes. */
function plantSentence(w: PlantedWeights): void {
  SENTENCE.forEach(([word, next], i) => {
    w.add("model.embed_tokens.weight", [idOf(word), axis.next[i]], 3);
    w.add("lm_head.weight", [idOf(next), axis.next[i]], 120);
  });
  w.add("model.embed_tokens.weight", [idOf("is"), axis.oneHop], 3);
}

/** Where a colour is to be named, an expert adds the expected one to what is known. */
function plantPrior(w: PlantedWeights, layer: number, gain: number): void {
  plantRoute(w, layer, axis.oneHop, EXPERTS);
  const moves = PLANTED_COLOURS[EXPECTED].map((sign, i) => ({
    from: [axis.oneHop],
    to: [axis.answer[i]],
    gain: sign * gain,
  }));
  plantExpert(w, layer, EXPERTS[0], moves);
}
