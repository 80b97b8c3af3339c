import { checkOptions, integer, type OptionChecks } from "../../options.js";
import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { GRAY, WHITE } from "../raster/colours.js";
import { blank } from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { DRAW_PAGE } from "./document-drawing.js";
import { ASK_PAGE, type Fields, LAYOUTS_FOR, ranked, written } from "./document-questions.js";
import type { Layout, PageScene } from "./page-scene.js";
import { listed, numerals, type SyntheticTask, some, wordSet } from "./synthetic-task.js";
import { CITIES, GOODS, JOBS, MONTHS, NAMES } from "./words.js";

const LAYOUTS: readonly Layout[] = ["form", "letter", "table", "receipt"];
const LISTED = {
  values: "what is written after each?",
  keys: "what is written before each?",
  more: "how many are more than each?",
};
const AGES = numerals(10, 79);

export interface WordOptions {
  /** Number of words and ages of each list written into images, the first of them; all unless given. */
  readonly words?: number;
}

/** Checks of the tasks whose images are written with words. */
export const WORD_OPTIONS: OptionChecks<WordOptions> = { words: integer(1) };

/** Forms, letters, tables and receipts: read a field, find a row, compare or subtract several. */
export function documentTask(options: WordOptions = {}): SyntheticTask<PageScene> {
  checkOptions("documentTask", options, WORD_OPTIONS);
  const { words } = options;
  const lists = listsOf(words);
  return {
    name: "documents",
    minImageSize: 48,
    types: {
      layout: "easy",
      field: "easy",
      row: "medium",
      whose: "medium",
      below: "medium",
      most: "hard",
      least: "hard",
      mostValue: "hard",
      belowValue: "hard",
      more: "hard",
      compared: "hard",
      dearer: "hard",
    },
    scoring: () => "anls",
    vocabulary: wordSet(
      ...Object.values(lists).flat(),
      ...MONTHS,
      ...numerals(0, 31),
      "what kind of document is this? form letter table receipt",
      "what is the name? city age job day month total. who is the letter to? from",
      "how old is? what is the price of the? who is? what costs? who is the oldest? the youngest?",
      "what costs the most? the least? how many people are older than? how many things cost more than the?",
      "how much more is the than the? a, and.",
      "who is below? what is below the? how old is the oldest? what is the highest price?",
      "how old is the one below? what is the price of what is below the? is older than?",
      "does the cost more than the? yes no",
      ...Object.values(LISTED),
    ),

    scene(random, type) {
      const layout = random.pick(own(LAYOUTS_FOR, type) ?? LAYOUTS);
      return { layout, fields: FIELDS[layout](random, lists) };
    },

    question: (scene, type, random) => own(ASK_PAGE, type)!({ ...scene, random }),
    questionTypes: ({ layout }) =>
      Object.keys(ASK_PAGE).filter((type) => (own(LAYOUTS_FOR, type) ?? LAYOUTS).includes(layout)),
    listings({ layout, fields }) {
      const entries = written({ layout, fields });
      const ordered = LAYOUTS_FOR.more.includes(layout);
      return [
        { prompt: LISTED.values, entries },
        { prompt: LISTED.keys, entries: entries.map(([key, value]) => [value, key]) },
        {
          prompt: LISTED.more,
          entries: ordered ? ranked(fields).map((i, place) => [fields[i][0], String(place)]) : [],
        },
      ];
    },
    category: ({ layout }) => layout,

    render({ layout, fields }, size): Raster {
      const raster = blank(size, size, layout === "receipt" ? GRAY : WHITE);
      DRAW_PAGE[layout](raster, fields, size, Math.floor(size / 48));
      return raster;
    },

    textDescription: (scene) =>
      `a ${scene.layout}. ${listed(written(scene).map(([key, value]) => `${key} ${value}`))}.`,
  };
}

type Lists = Readonly<Record<"names" | "cities" | "jobs" | "goods" | "ages", readonly string[]>>;

function listsOf(words?: number): Lists {
  const first = (list: readonly string[]) => list.slice(0, words);
  return {
    names: first(NAMES),
    cities: first(CITIES),
    jobs: first(JOBS),
    goods: first(GOODS),
    ages: first(AGES),
  };
}

const FIELDS: Readonly<Record<Layout, (random: Random, lists: Lists) => Fields>> = {
  form(random, lists) {
    const all = [
      ["name", random.pick(lists.names)],
      ["city", random.pick(lists.cities)],
      ["age", random.pick(lists.ages)],
      ["job", random.pick(lists.jobs)],
    ] as const;
    return some(random, all, 3 + random.int(2));
  },
  letter(random, lists) {
    const [to, from] = some(random, lists.names, 2);
    return [
      ["day", String(1 + random.int(28))],
      ["month", random.pick(MONTHS)],
      ["to", to],
      ["from", from],
    ];
  },
  table: (random, lists) => paired(some(random, lists.names, 3), some(random, lists.ages, 3)),
  receipt: (random, lists) => paired(some(random, lists.goods, 3), some(random, numerals(1, 9), 3)),
};

const paired = (keys: readonly string[], values: readonly string[]): Fields =>
  keys.map((key, i) => [key, values[i]] as const);

/** The pages with all the words that there are. */
export const documents: SyntheticTask<PageScene> = documentTask();
