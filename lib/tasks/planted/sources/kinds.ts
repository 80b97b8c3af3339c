/**
 * Mechanisms by which an image and a question enter the prediction, with the law of what they state. The atoms follow from
 * both: those of the cases A, D1 and K of Gaussian partial information decomposition, and of the exclusive-or.
 */
import type { Random } from "../../../random.js";
import { axis, DIMENSIONS } from "./axes.js";
import type { Look } from "./blocks.js";
import { combined, normals, type PlantedStatement, type StatedValues, signs } from "./questions.js";

/** Atoms in bits, with the image for the first source and the question for the second. */
export interface PlantedAtoms {
  readonly redundancy: number;
  readonly uniqueX: number;
  readonly uniqueY: number;
  readonly synergy: number;
}

export interface SourceMechanism {
  /** Result that a study should find, in one sentence. */
  readonly truth: string;
  readonly looks: readonly Look[];
  /** Multiplies the two factors into the first dimension of the prediction. */
  readonly product?: boolean;
  /** Of the prediction with pooled visual tokens and pooled words, at state `l` of the model (0 enters block 0). */
  readonly atoms: (l: number) => PlantedAtoms;
  readonly draw: (random: Random) => {
    readonly values: StatedValues;
    readonly prediction: readonly number[];
  };
}

export type PlantedSourcesKind =
  | "vision"
  | "language"
  | "both"
  | "redundant"
  | "synergistic"
  | "exclusiveOr"
  | "transduced";

const [TRANSDUCES, READS] = [2, 4];

const IMAGE: Look = {
  layer: READS,
  head: 0,
  asks: axis.last,
  flag: axis.left,
  from: axis.code,
  to: axis.answer,
};
const WORDS: Look = {
  layer: READS,
  head: 1,
  asks: axis.last,
  flag: axis.marked,
  from: axis.word,
  to: axis.answer,
};

const only = (look: Look, dimension: number): Look => ({
  ...look,
  from: [look.from[dimension]],
  to: [look.to[dimension]],
});

const NONE: PlantedAtoms = { redundancy: 0, uniqueX: 0, uniqueY: 0, synergy: 0 };

/** log₂ 3 − 1: what a second look with noise of its own adds to half a bit, in two dimensions. */
const SECOND_LOOK = Math.log2(3) - 1;

const zeros = (): number[] => Array<number>(DIMENSIONS).fill(0);

function stated(random: Random, values: Partial<StatedValues> = {}): StatedValues {
  return {
    image: normals(random),
    left: normals(random),
    top: zeros(),
    words: normals(random),
    marked: normals(random),
    ...values,
  };
}

const fromImage = (values: StatedValues): PlantedStatement["prediction"] =>
  combined(values.image, values.left);
const fromWords = (values: StatedValues): PlantedStatement["prediction"] =>
  combined(values.words, values.marked);

/** Standard deviation of the noise of each source and of the prediction, in the exclusive-or of signs. */
const NOISE = 0.5;

/** Information of that exclusive-or, by quadrature; all of it synergy. */
const EXCLUSIVE_OR_BITS = 0.759;

export const MECHANISMS: Readonly<Record<PlantedSourcesKind, SourceMechanism>> = {
  vision: {
    truth: "One bit that only the image gives.",
    looks: [IMAGE],
    atoms: () => ({ ...NONE, uniqueX: 1 }),
    draw(random) {
      const values = stated(random);
      return { values, prediction: fromImage(values) };
    },
  },
  language: {
    truth: "One bit that only the question gives.",
    looks: [WORDS],
    atoms: () => ({ ...NONE, uniqueY: 1 }),
    draw(random) {
      const values = stated(random);
      return { values, prediction: fromWords(values) };
    },
  },
  both: {
    truth: "Half a bit of the image alone and half a bit of the question alone (case A).",
    looks: [only(IMAGE, 0), only(WORDS, 1)],
    atoms: () => ({ ...NONE, uniqueX: 0.5, uniqueY: 0.5 }),
    draw(random) {
      const values = stated(random);
      return { values, prediction: [fromImage(values)[0], fromWords(values)[1]] };
    },
  },
  redundant: {
    truth: "Image and question tell the same, each with a noise of its own (case D1).",
    looks: [IMAGE],
    atoms: () => ({ ...NONE, redundancy: 1, synergy: SECOND_LOOK }),
    draw(random) {
      const [told, noise] = [normals(random), normals(random)];
      const image = combined(told, noise);
      const words = combined(told, normals(random));
      const values = stated(random, { image, left: noise.map((value) => -value), words, marked: zeros() });
      return { values, prediction: told };
    },
  },
  synergistic: {
    truth: "The question tells nothing but the image's noise (case K).",
    looks: [IMAGE],
    atoms: () => ({ ...NONE, uniqueX: 1, synergy: SECOND_LOOK }),
    draw(random) {
      const [told, noise] = [normals(random), normals(random)];
      const image = combined(told, noise);
      const words = combined(noise, normals(random));
      const values = stated(random, { image, left: noise.map((value) => -value), words, marked: zeros() });
      return { values, prediction: told };
    },
  },
  exclusiveOr: {
    truth: "The prediction is the product of a sign of the image and one of the question: synergy alone.",
    looks: [
      { ...only(IMAGE, 0), layer: READS - 1, to: [axis.factor[0]] },
      { ...only(WORDS, 0), layer: READS - 1, to: [axis.factor[1]] },
      { ...only(IMAGE, 1), to: [axis.answer[0]] },
    ],
    product: true,
    atoms: () => ({ ...NONE, synergy: EXCLUSIVE_OR_BITS }),
    draw(random) {
      const [seen, said] = [signs(random), signs(random)];
      const noises = [0, 1, 2].map(() => normals(random)[0] * NOISE);
      // What is read is a sign without noise; the second dimension of the left half is the prediction's own noise.
      const hidden = normals(random)[0] * NOISE;
      const values = stated(random, {
        image: [seen[0] + noises[0], hidden],
        left: [-noises[0], noises[2] - hidden],
        words: [said[0] + noises[1], normals(random)[0] * NOISE],
        marked: [-noises[1], 0],
      });
      return { values, prediction: [seen[0] * said[0] + noises[2], 0] };
    },
  },
  transduced: {
    truth:
      "The words of the question read the image: what only it gave, they give too, and half a bit a dimension more.",
    looks: [
      { ...IMAGE, layer: TRANSDUCES, head: 0, asks: axis.marked, to: axis.seen },
      { ...IMAGE, layer: TRANSDUCES, head: 1, asks: axis.other, flag: axis.top, to: axis.seen },
      IMAGE,
    ],
    // Marked words see image + left, the others image + top: their mean is a better look than the pooled image.
    atoms: (l) =>
      l <= TRANSDUCES ? { ...NONE, uniqueX: 1 } : { ...NONE, redundancy: 1, uniqueY: 1, synergy: 0 },
    draw(random) {
      const values = stated(random, { top: normals(random) });
      return { values, prediction: fromImage(values) };
    },
  },
};
