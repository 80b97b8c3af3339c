import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { blank, box, type Colour, mark } from "../raster/paint.js";
import { fnv1a } from "../split.js";
import type { Raster } from "../visual-task.js";
import { COUNTRIES } from "./flag-drawings.js";
import { type Question, type SyntheticTask, throughHops, wordSet } from "./synthetic-task.js";
import { draw } from "./things.js";

/** The flag of a country, alone. */
export interface FlagScene {
  readonly country: string;
  /** Width of the flag and its top left corner, in hundredths of the image's side; it is two thirds as high. */
  readonly width: number;
  readonly x: number;
  readonly y: number;
  readonly background: number;
}

const NAMES = Object.keys(COUNTRIES);
/** Every third country: its capital is told of in words, and in training never asked for where its flag is seen. */
const TOLD = NAMES.filter((name) => fnv1a(name) % 3 === 0);
const SEEN = NAMES.filter((name) => !TOLD.includes(name));
const CONTINENTS = [...new Set(Object.values(COUNTRIES).map(({ continent }) => continent))];
const BACKGROUNDS: readonly Colour[] = [
  [196, 200, 206],
  [214, 206, 190],
  [184, 198, 186],
  [206, 194, 214],
];
const WHICH = "which country has this flag?";
const CAPITAL = "what is its capital?";

/**
 * Flags: the country, its continent, and its capital, which takes two steps, from the flag to the country and on to what
 * words say of it. `told` asks for capitals that were never asked for beside the flag: a model that answers has put
 * together what it sees and what it was told.
 */
export const flags: SyntheticTask<FlagScene> = {
  name: "flags",
  minImageSize: 48,
  types: { name: "easy", choose: "easy", continent: "medium", saying: "easy", capital: "hard", told: "hard" },
  heldOutTypes: ["told"],
  scoring: () => "exact",
  vocabulary: wordSet(
    ...NAMES,
    ...Object.values(COUNTRIES).map(({ capital }) => capital),
    ...CONTINENTS,
    WHICH,
    CAPITAL,
    "is this the flag of or? what is the capital of? which continent is it in? the flag of.",
  ),

  scene(random, type) {
    const width = 78 + random.int(19);
    const height = Math.ceil((width * 2) / 3);
    return {
      country: random.pick(type === "told" ? TOLD : type === "capital" ? SEEN : NAMES),
      width,
      x: random.int(101 - width),
      y: random.int(101 - height),
      background: random.int(BACKGROUNDS.length),
    };
  },

  question: (scene, type, random) => own(ASK, type)!(scene, random),
  questionTypes: ({ country }) => [
    "name",
    "choose",
    "continent",
    "saying",
    TOLD.includes(country) ? "told" : "capital",
  ],
  category: ({ country }) => COUNTRIES[country].continent,

  render({ country, width, x, y, background }, size): Raster {
    const raster = blank(size, size, BACKGROUNDS[background]);
    const unit = size / 100;
    const [left, top, wide, high] = [x * unit, y * unit, width * unit, (width * unit * 2) / 3];
    draw(raster, COUNTRIES[country].flag, { left, top, width: wide, height: high });
    mark(raster, box(left, top, wide, high), [country]);
    return raster;
  },

  textDescription: ({ country }) => `the flag of ${country}.`,
};

/** What words say of a country. */
const saying = (country: string): Question => ({
  prompt: `what is the capital of ${country}?`,
  answer: COUNTRIES[country].capital,
});

function capitalOf({ country }: FlagScene): Question {
  return throughHops(
    { prompt: WHICH, answer: country, regions: [0] },
    { ...saying(country), regions: [] },
    { prompt: CAPITAL, answer: COUNTRIES[country].capital, regions: [] },
  );
}

const ASK: Readonly<Record<string, (scene: FlagScene, random: Random) => Question>> = {
  name: ({ country }) => ({ prompt: WHICH, answer: country }),
  choose({ country }, random) {
    const other = random.pick(NAMES.filter((name) => name !== country));
    const [first, second] = random.shuffle([country, other]);
    return { prompt: `is this the flag of ${first} or ${second}?`, answer: country };
  },
  continent: ({ country }) => ({
    prompt: "which continent is it in?",
    answer: COUNTRIES[country].continent,
  }),
  // Of any country but the one that is seen: an image must not teach what words are to.
  saying: ({ country }, random) => saying(random.pick(NAMES.filter((name) => name !== country))),
  capital: capitalOf,
  told: capitalOf,
};
