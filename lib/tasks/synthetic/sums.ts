import { own } from "../../own.js";
import { BLACK, COLOUR_NAMES, COLOURS, type ColourName, WHITE } from "../raster/colours.js";
import { textWidth, writeCentred } from "../raster/font.js";
import { blank, box, type Colour, mark, paint } from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { numerals, type SyntheticTask, wordSet } from "./synthetic-task.js";

export type Operation = "+" | "-" | "*" | "/";

/** An equation without its result, written on a board. */
export interface SumScene {
  readonly left: number;
  readonly operation: Operation;
  readonly right: number;
  readonly ink: ColourName;
  /** A light or a dark board. */
  readonly dark: boolean;
  /** Displacement of its middle, in hundredths of the side. */
  readonly shift: readonly [x: number, y: number];
}

const NAMES: Readonly<Record<string, Operation>> = { plus: "+", minus: "-", times: "*", divided: "/" };
const RESULT: Readonly<Record<Operation, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
};
const SLATE: Colour = [38, 58, 52];
const LIGHT_INKS: readonly ColourName[] = ["yellow", "orange", "cyan"];
const DARK_INKS = COLOUR_NAMES.filter((name) => name !== "yellow" && name !== "cyan" && name !== "orange");

/** Sums of one digit each with a result of one digit: `9/3=`, `8-5=`. Each result has several. */
const SUMS: Readonly<Record<Operation, readonly (readonly [number, number])[]>> = {
  "+": pairs((a, b) => a + b <= 9),
  "-": pairs((a, b) => a - b >= 1),
  "*": pairs((a, b) => a * b <= 9),
  "/": pairs((a, b) => a % b === 0),
};

/** Arithmetic written in the image: the result, or what stands there. */
export const sums: SyntheticTask<SumScene> = {
  name: "sums",
  minImageSize: 32,
  types: { plus: "easy", minus: "easy", times: "easy", divided: "medium", left: "easy", right: "easy" },
  scoring: () => "exact",
  vocabulary: wordSet(
    ...numerals(1, 9),
    "what is the result? what is the first number? what is the second number? the board says + - * / = .",
  ),

  scene(random, type) {
    const operation = own(NAMES, type) ?? random.pick(Object.values(NAMES));
    const all = SUMS[operation];
    // Where the result is asked for it is drawn first, so that each is the answer as often as the others.
    const result =
      own(NAMES, type) !== undefined &&
      random.pick([...new Set(all.map(([a, b]) => RESULT[operation](a, b)))]);
    const [left, right] = random.pick(
      all.filter(([a, b]) => result === false || RESULT[operation](a, b) === result),
    );
    const dark = random.int(2) === 0;
    return {
      left,
      operation,
      right,
      ink: random.pick(dark ? LIGHT_INKS : DARK_INKS),
      dark,
      shift: [random.int(5) - 2, random.int(17) - 8],
    };
  },

  question({ left, operation, right }, type) {
    if (type === "left") return { prompt: "what is the first number?", answer: String(left) };
    if (type === "right") return { prompt: "what is the second number?", answer: String(right) };
    return { prompt: "what is the result?", answer: String(RESULT[operation](left, right)) };
  },

  questionTypes: ({ operation }) => [
    ...Object.keys(NAMES).filter((n) => own(NAMES, n) === operation),
    "left",
    "right",
  ],
  category: ({ operation }) => operation,
  // Where it stands makes no new sum: what is held out has not been seen in its ink.
  imageContent: ({ left, operation, right, ink, dark }) => [left, operation, right, ink, dark],

  render({ left, operation, right, ink, dark, shift }, size): Raster {
    const raster = blank(size, size, dark ? SLATE : WHITE);
    const text = `${left}${operation}${right}=`;
    const dot = Math.floor((size * 0.84) / textWidth(text));
    const [x, y] = [size * (0.5 + shift[0] / 100), size * (0.5 + shift[1] / 100)];
    const written = writeCentred(raster, text, [x, y], COLOURS[ink], Math.max(1, dot));
    [...text].forEach((sign, i) => {
      mark(raster, written[i], [sign]);
    });
    frame(raster, size, dark ? COLOURS.orange : BLACK);
    return raster;
  },

  textDescription: ({ left, operation, right }) => `the board says ${left} ${operation} ${right} =.`,
};

function frame(raster: Raster, size: number, colour: Colour): void {
  for (const [x, y, width, height] of [
    [0, 0, size, 1],
    [0, size - 1, size, 1],
    [0, 0, 1, size],
    [size - 1, 0, 1, size],
  ]) {
    paint(raster, box(x, y, width, height), colour);
  }
}

function pairs(allowed: (a: number, b: number) => boolean): [number, number][] {
  const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  return digits.flatMap((a) => digits.filter((b) => allowed(a, b)).map((b): [number, number] => [a, b]));
}
