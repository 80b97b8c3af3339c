import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { BLACK, COLOURS, GRAY, LIGHT, WHITE } from "../raster/colours.js";
import { GLYPH_HEIGHT, textWidth, write } from "../raster/font.js";
import { blank, box, type Canvas, mark, paint } from "../raster/paint.js";
import type { Raster } from "../visual-task.js";
import { listed, numerals, type Question, type SyntheticTask, some, wordSet } from "./synthetic-task.js";
import { CITIES, GOODS, JOBS, MONTHS, NAMES } from "./words.js";

export type Layout = "form" | "letter" | "table" | "receipt";

/** A page: what it says, each value under its key, from the top. A table's keys are names, a receipt's are goods. */
export interface PageScene {
  readonly layout: Layout;
  readonly fields: readonly (readonly [key: string, value: string])[];
}

const LAYOUTS: readonly Layout[] = ["form", "letter", "table", "receipt"];
const LISTED = {
  values: "what is written after each?",
  keys: "what is written before each?",
  more: "how many are more than each?",
};
const AGES = numerals(10, 79);

export interface WordOptions {
  /** How many words and ages of each list are written into images, the first of them; all unless given. */
  readonly words?: number;
}

/** Forms, letters, tables and receipts: read a field, find a row, compare or reckon with several. */
export function documentTask({ words }: WordOptions = {}): SyntheticTask<PageScene> {
  const lists = listsOf(words);
  return {
    name: "documents",
    minImageSize: 48,
    types: {
      layout: "easy",
      field: "easy",
      row: "medium",
      whose: "medium",
      most: "hard",
      least: "hard",
      more: "hard",
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
      ...Object.values(LISTED),
    ),

    scene(random, type) {
      const layout = random.pick(own(LAYOUTS_FOR, type) ?? LAYOUTS);
      return { layout, fields: FIELDS[layout](random, lists) };
    },

    question: ({ layout, fields }, type, random) => own(ASK, type)!(layout, fields, random),
    questionTypes: ({ layout }) =>
      Object.keys(ASK).filter((type) => (own(LAYOUTS_FOR, type) ?? LAYOUTS).includes(layout)),
    listings({ layout, fields }) {
      const entries = written({ layout, fields });
      const ordered = LAYOUTS_FOR.more.includes(layout);
      return [
        { prompt: LISTED.values, entries },
        { prompt: LISTED.keys, entries: entries.map(([key, value]) => [value, key]) },
        {
          prompt: LISTED.more,
          entries: ordered ? ranked(fields).map((key, place) => [key, String(place)]) : [],
        },
      ];
    },
    category: ({ layout }) => layout,

    render({ layout, fields }, size): Raster {
      const raster = blank(size, size, layout === "receipt" ? GRAY : WHITE);
      DRAW[layout](raster, fields, size, Math.floor(size / 48));
      return raster;
    },

    textDescription: (scene) =>
      `a ${scene.layout}. ${listed(written(scene).map(([key, value]) => `${key} ${value}`))}.`,
  };
}

type Fields = PageScene["fields"];

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

const LAYOUTS_FOR: Readonly<Record<string, readonly Layout[]>> = {
  row: ["table", "receipt"],
  whose: ["table", "receipt"],
  most: ["table", "receipt"],
  least: ["table", "receipt"],
  more: ["table", "receipt"],
  dearer: ["receipt"],
  field: ["form", "letter", "receipt"],
};

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

const total = (fields: Fields): number => fields.reduce((sum, [, value]) => sum + Number(value), 0);

/** Everything on a page, a receipt's total with it. */
const written = ({ layout, fields }: PageScene): Fields =>
  layout === "receipt" ? [...fields, ["total", String(total(fields))]] : fields;

const ASK: Readonly<Record<string, (layout: Layout, fields: Fields, random: Random) => Question>> = {
  layout: (layout) => ({ prompt: "what kind of document is this?", answer: layout }),
  field(layout, fields, random) {
    if (layout === "receipt") return { prompt: "what is the total?", answer: String(total(fields)) };
    const [key, value] = random.pick(fields);
    const person = key === "to" || key === "from";
    return { prompt: person ? `who is the letter ${key}?` : `what is the ${key}?`, answer: value };
  },
  row(layout, fields, random) {
    const [key, value] = random.pick(fields);
    return {
      prompt: layout === "table" ? `how old is ${key}?` : `what is the price of the ${key}?`,
      answer: value,
    };
  },
  whose(layout, fields, random) {
    const [key, value] = random.pick(fields);
    return { prompt: layout === "table" ? `who is ${value}?` : `what costs ${value}?`, answer: key };
  },
  most: (layout, fields) => ({
    prompt: layout === "table" ? "who is the oldest?" : "what costs the most?",
    answer: ranked(fields)[0],
  }),
  least: (layout, fields) => ({
    prompt: layout === "table" ? "who is the youngest?" : "what costs the least?",
    answer: ranked(fields).at(-1)!,
  }),
  more(layout, fields, random) {
    const place = random.int(fields.length);
    const key = ranked(fields)[place];
    return {
      prompt:
        layout === "table"
          ? `how many people are older than ${key}?`
          : `how many things cost more than the ${key}?`,
      answer: String(place),
    };
  },
  dearer(_, fields, random) {
    const prices = new Map(fields);
    const [more, less] = some(random, fields, 2)
      .map(([key]) => key)
      .sort((a, b) => Number(prices.get(b)) - Number(prices.get(a)));
    return {
      prompt: `how much more is the ${more} than the ${less}?`,
      answer: String(Number(prices.get(more)) - Number(prices.get(less))),
    };
  },
};

/** The keys, largest value first. */
function ranked(fields: Fields): string[] {
  return [...fields].sort(([, a], [, b]) => Number(b) - Number(a)).map(([key]) => key);
}

/** Lays a page out on 48 units a side; `dot` pixels make one unit, and what is left over is margin. */
const DRAW: Readonly<Record<Layout, (raster: Canvas, fields: Fields, size: number, dot: number) => void>> = {
  form(raster, fields, size, dot) {
    fields.forEach(([key, value], i) => {
      const y = (3 + i * 11) * dot;
      write(raster, key, 2 * dot, y, BLACK, dot);
      write(raster, value, 24 * dot, y, COLOURS.blue, dot);
      paint(raster, box(23 * dot, y + (GLYPH_HEIGHT + 1) * dot, size - 24 * dot, dot), GRAY);
      line(raster, y, size, dot, [key, value]);
    });
  },
  letter(raster, fields, size, dot) {
    const [day, month, to, from] = fields.map(([, value]) => value);
    const date = `${day} ${month}`;
    write(raster, date, size - textWidth(date, dot) - 2 * dot, 3 * dot, BLACK, dot);
    write(raster, `to ${to}`, 2 * dot, 13 * dot, BLACK, dot);
    line(raster, 3 * dot, size, dot, [day, month]);
    line(raster, 13 * dot, size, dot, ["to", to]);
    // Greeked lines stand for the body.
    for (let line = 0; line < 4; line++) {
      paint(raster, box(2 * dot, (22 + 4 * line) * dot, (line === 3 ? 24 : 44) * dot, 2 * dot), LIGHT);
    }
    write(raster, `from ${from}`, 2 * dot, size - 8 * dot, BLACK, dot);
    line(raster, size - 8 * dot, size, dot, ["from", from]);
  },
  table(raster, fields, size, dot) {
    const rows = [["name", "age"] as const, ...fields];
    paint(raster, box(0, 0, size, 11 * dot), LIGHT);
    rows.forEach(([key, value], i) => {
      const y = (3 + i * 11.5) * dot;
      write(raster, key, 3 * dot, y, BLACK, dot);
      write(raster, value, 32 * dot, y, BLACK, dot);
      line(raster, y, size, dot, [key, value]);
      if (i < fields.length) paint(raster, box(0, Math.round(y + 8 * dot), size, dot), GRAY);
    });
    paint(raster, box(29 * dot, 0, dot, size), GRAY);
  },
  receipt(raster, fields, size, dot) {
    paint(raster, box(4 * dot, 0, 40 * dot, size), WHITE);
    fields.forEach(([key, value], i) => {
      const y = (4 + i * 10) * dot;
      write(raster, key, 7 * dot, y, BLACK, dot);
      write(raster, value, 37 * dot, y, BLACK, dot);
      line(raster, y, size, dot, [key, value]);
    });
    paint(raster, box(7 * dot, 34 * dot, 34 * dot, dot), BLACK);
    const sum = String(total(fields));
    write(raster, "total", 7 * dot, 38 * dot, COLOURS.red, dot);
    write(raster, sum, 41 * dot - textWidth(sum, dot), 38 * dot, COLOURS.red, dot);
    line(raster, 38 * dot, size, dot, ["total", sum]);
  },
};

/** Marks a line of the page, a dot higher and lower than its text. */
function line(raster: Canvas, y: number, size: number, dot: number, words: readonly string[]): void {
  mark(raster, box(0, y - dot, size, (GLYPH_HEIGHT + 2) * dot), words);
}

/** The pages with all the words that there are. */
export const documents: SyntheticTask<PageScene> = documentTask();
