import { checkOptions } from "../../options.js";
import { own } from "../../own.js";
import type { Random } from "../../random.js";
import {
  BLACK,
  COLOUR_NAMES,
  COLOURS,
  type ColourName,
  GRAY,
  inkOn,
  LIGHT,
  mixed,
  WHITE,
} from "../raster/colours.js";
import { writeCentred } from "../raster/font.js";
import { blank, box, type Colour, disc, mark, paint } from "../raster/paint.js";
import type { Hop, Raster } from "../visual-task.js";
import { WORD_OPTIONS, type WordOptions } from "./documents.js";
import { listed, type Question, type SyntheticTask, some, wordSet } from "./synthetic-task.js";
import type { Place } from "./things.js";
import { SIGNS } from "./words.js";

export type CarrierKind = "sign" | "bus" | "shop";

/** Something with a word on it, in a cell of a street two wide and three high. */
export interface Carrier {
  readonly kind: CarrierKind;
  readonly colour: ColourName;
  readonly word: string;
  readonly row: number;
  readonly column: number;
}

export interface StreetScene {
  readonly carriers: readonly Carrier[];
  readonly background: number;
}

const KINDS: readonly CarrierKind[] = ["sign", "bus", "shop"];
const ROWS = ["top", "middle", "bottom"];
const COLUMNS = ["left", "right"];
const LISTED = {
  words: "what does each say?",
  colours: "what color is each word on?",
  kinds: "what is each word on?",
  places: "where is each word?",
};
/** A kerb under each row of a street, and the share of black in a board's edge, where there is room for them. */
const PAVEMENT: Colour = [150, 150, 156];
const EDGE = 0.5;
const BACKGROUNDS: readonly Colour[] = [
  [206, 226, 240],
  [236, 230, 214],
  [214, 222, 208],
];

/** Words on signs, buses and shops: one alone, one of several, or one found by where it is. */
export function sceneTextTask(options: WordOptions = {}): SyntheticTask<StreetScene> {
  checkOptions("sceneTextTask", options, WORD_OPTIONS);
  const { words } = options;
  const signs = SIGNS.slice(0, words);
  return {
    name: "scene-text",
    minImageSize: 48,
    types: {
      alone: "easy",
      named: "medium",
      colour: "medium",
      carrier: "medium",
      place: "medium",
      beside: "hard",
      above: "hard",
      besideColour: "hard",
    },
    scoring: () => "exact",
    vocabulary: wordSet(
      ...signs,
      ...KINDS,
      ...COLOUR_NAMES,
      "what does the say? what color is the word on? what is the word on? what is the word",
      "left right above below of in the row top middle bottom says, and. where is the word",
      ...Object.values(LISTED),
    ),

    scene(random, type) {
      const count = type === "alone" ? 1 : 2 + random.int(2);
      const cells = some(random, [0, 1, 2, 3, 4, 5], count);
      if (type === "beside" || type === "besideColour") cells[1] = cells[0] ^ 1;
      if (type === "above") cells[1] = (cells[0] + (random.int(2) === 0 ? 2 : 4)) % 6;
      if (cells.length === 3 && (cells[2] === cells[1] || cells[2] === cells[0])) cells.pop();
      const colours = some(random, COLOUR_NAMES, count);
      const written = some(random, signs, count);
      return {
        carriers: cells.map((cell, i) => ({
          kind: random.pick(KINDS),
          colour: colours[i],
          word: written[i],
          row: cell >> 1,
          column: cell & 1,
        })),
        background: random.int(BACKGROUNDS.length),
      };
    },

    question: ({ carriers }, type, random) => own(ASK, type)!(carriers, random),
    questionTypes({ carriers: [first, second] }) {
      if (!second) return ["alone"];
      const lined = [
        ...(first.row === second.row ? ["beside", "besideColour"] : []),
        ...(first.column === second.column ? ["above"] : []),
      ];
      return ["named", "colour", "carrier", "place", ...lined];
    },
    listings: ({ carriers }) => [
      { prompt: LISTED.words, entries: carriers.map((c) => [`${c.colour} ${c.kind}`, c.word]) },
      { prompt: LISTED.colours, entries: carriers.map((c) => [c.word, c.colour]) },
      { prompt: LISTED.kinds, entries: carriers.map((c) => [c.word, c.kind]) },
      {
        prompt: LISTED.places,
        entries: carriers.map((c) => [c.word, placeOf(c)]),
      },
    ],
    category: ({ carriers }) => carriers[0].kind,
    imageContent: ({ carriers, background }) => [
      background,
      ...carriers.map((c) => JSON.stringify(c)).sort(),
    ],

    render({ carriers, background }, size): Raster {
      const raster = blank(size, size, BACKGROUNDS[background]);
      const dot = Math.floor(size / 48);
      if (dot > 1)
        for (let row = 1; row <= 3; row++) paint(raster, box(0, (row * size) / 3 - 2, size, 2), PAVEMENT);
      for (const { kind, colour, word, row, column } of carriers) {
        const [left, top] = [(column * size) / 2, (row * size) / 3];
        const [width, height] = [size / 2, size / 3];
        const ink = COLOURS[colour];
        const board = BOARDS[kind];
        const face = box(left + width * 0.02, top + height * board.top, width * 0.96, height * board.height);
        paint(raster, face, dot > 1 ? mixed(ink, BLACK, EDGE) : ink);
        if (dot > 1)
          paint(raster, box(face.left + 1, face.top + 1, width * 0.96 - 2, height * board.height - 2), ink);
        mark(raster, face, [word, colour, kind, ROWS[row], COLUMNS[column]]);
        DRAW[kind](raster, ink, { left, top, width, height });
        // A bus has wheels below its word.
        const middle = board.top + board.height * (kind === "bus" ? 0.44 : 0.5);
        writeCentred(raster, word, [left + width / 2, top + middle * height], inkOn(ink), dot);
      }
      return raster;
    },

    textDescription({ carriers }) {
      const phrases = carriers.map(
        (c) => `in the ${ROWS[c.row]} row ${COLUMNS[c.column]} ${named(c)} says ${c.word}`,
      );
      return `${listed(phrases)}.`;
    },
  };
}

const named = (c: Carrier): string => `the ${c.colour} ${c.kind}`;

const placeOf = (c: Carrier): string => `${ROWS[c.row]} ${COLUMNS[c.column]}`;

/** A question with the steps of an earlier one before it; its answer is seen on a carrier. */
function withHops(
  carriers: readonly Carrier[],
  earlier: Question | undefined,
  { prompt, answer }: Question,
  seen: Carrier,
): Question & { readonly hops: readonly Hop[] } {
  const last = { prompt, answer, regions: [carriers.indexOf(seen)] };
  return { prompt, answer, hops: [...(earlier?.hops ?? []), last] };
}

/** One of the first two carriers, which stand side by side, and the word on the other. */
function besideHops(
  carriers: readonly Carrier[],
  random: Random,
): { beside: Question; side: string; known: Carrier; asked: Carrier } {
  const [known, asked] = random.shuffle(carriers.slice(0, 2));
  const side = asked.column < known.column ? "left" : "right";
  const found = { prompt: `where is ${named(known)}?`, answer: placeOf(known) };
  const prompt = `what is the word ${side} of ${named(known)}?`;
  const place = withHops(carriers, undefined, found, known);
  return { beside: withHops(carriers, place, { prompt, answer: asked.word }, asked), side, known, asked };
}

type Ask = (carriers: readonly Carrier[], random: Random) => Question;

const ASK: Readonly<Record<string, Ask>> = {
  alone: ([c]) => ({ prompt: `what does the ${c.kind} say?`, answer: c.word }),
  named(carriers, random) {
    const c = random.pick(carriers);
    return { prompt: `what does ${named(c)} say?`, answer: c.word };
  },
  colour(carriers, random) {
    const c = random.pick(carriers);
    return { prompt: `what color is the word ${c.word} on?`, answer: c.colour };
  },
  carrier(carriers, random) {
    const c = random.pick(carriers);
    return { prompt: `what is the word ${c.word} on?`, answer: c.kind };
  },
  place(carriers, random) {
    const c = random.pick(carriers);
    return { prompt: `where is the word ${c.word}?`, answer: placeOf(c) };
  },
  beside: (carriers, random) => besideHops(carriers, random).beside,
  besideColour(carriers, random) {
    const { beside, side, known, asked } = besideHops(carriers, random);
    const prompt = `what color is the word ${side} of ${named(known)} on?`;
    return withHops(carriers, beside, { prompt, answer: asked.colour }, asked);
  },
  above(carriers, random) {
    const known = random.pick(carriers.slice(0, 2));
    // With three of them, the nearest in the column is meant.
    const others = carriers.filter((c) => c !== known && c.column === known.column);
    const asked = others.reduce((a, b) =>
      Math.abs(b.row - known.row) < Math.abs(a.row - known.row) ? b : a,
    );
    const side = asked.row < known.row ? "above" : "below";
    const found = { prompt: `where is ${named(known)}?`, answer: placeOf(known) };
    return withHops(
      carriers,
      withHops(carriers, undefined, found, known),
      { prompt: `what is the word ${side} ${named(known)}?`, answer: asked.word },
      asked,
    );
  },
};

/** Place of the board in its cell, as shares of its height; the word stands in its middle. */
const BOARDS: Readonly<Record<CarrierKind, { readonly top: number; readonly height: number }>> = {
  sign: { top: 0.12, height: 0.6 },
  bus: { top: 0.06, height: 0.68 },
  shop: { top: 0.26, height: 0.66 },
};

type DrawCarrier = (raster: Raster, colour: Colour, place: Required<Place>) => void;

const DRAW: Readonly<Record<CarrierKind, DrawCarrier>> = {
  sign(raster, _, { left, top, width, height }) {
    paint(raster, box(left + width * 0.44, top + height * 0.72, width * 0.12, height * 0.26), GRAY);
  },
  bus(raster, _, { left, top, width, height }) {
    for (const x of [0.25, 0.75]) {
      const [cx, cy] = [left + width * x, top + height * 0.8];
      paint(raster, disc(cx, cy, height * 0.17), COLOURS.black);
      paint(raster, disc(cx, cy, height * 0.07), WHITE);
    }
  },
  shop(raster, colour, { left, top, width, height }) {
    const stripes = 6;
    const stripe = (width * 0.96) / stripes;
    for (let i = 0; i < stripes; i++) {
      const shade = i % 2 === 0 ? WHITE : mixed(colour, LIGHT, 0.35);
      paint(raster, box(left + width * 0.02 + i * stripe, top + height * 0.02, stripe, height * 0.2), shade);
    }
  },
};

/** The streets with all the words that there are. */
export const sceneText: SyntheticTask<StreetScene> = sceneTextTask();
