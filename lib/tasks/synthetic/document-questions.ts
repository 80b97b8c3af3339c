/** Questions about pages, and the steps to their answers. */
import type { Random } from "../../random.js";
import type { Hop } from "../visual-task.js";
import type { Layout, PageScene } from "./page-scene.js";
import { type Question, some, throughHops } from "./synthetic-task.js";

export type Fields = PageScene["fields"];

/** Layouts with keys that are named one below the other, and numbers to compare. */
const ROWS: readonly Layout[] = ["table", "receipt"];

/** Layouts about which a type of question is asked; all unless named. */
export const LAYOUTS_FOR: Readonly<Record<string, readonly Layout[]>> = {
  row: ROWS,
  whose: ROWS,
  below: ROWS,
  most: ROWS,
  least: ROWS,
  mostValue: ROWS,
  belowValue: ROWS,
  more: ROWS,
  compared: ROWS,
  dearer: ["receipt"],
  field: ["form", "letter", "receipt"],
};

export const total = (fields: Fields): number => fields.reduce((sum, [, value]) => sum + Number(value), 0);

/** Everything on a page, a receipt's total with it. */
export const written = ({ layout, fields }: PageScene): Fields =>
  layout === "receipt" ? [...fields, ["total", String(total(fields))]] : fields;

/** Numbers of the fields, largest value first. */
export function ranked(fields: Fields): number[] {
  return [...fields.keys()].sort((a, b) => Number(fields[b][1]) - Number(fields[a][1]));
}

/** Numbers of the image's annotation with a field: a letter's date is one line, a table has a line of headings. */
function regionOf(layout: Layout, field: number): number {
  if (layout === "letter") return Math.max(0, field - 1);
  return layout === "table" ? field + 1 : field;
}

interface Page extends PageScene {
  readonly random: Random;
}

type Wordings = Readonly<Record<"table" | "receipt", string>>;

/** A question of a table or a receipt, `A` and `B` being keys; what answers it stands in some fields. */
function hop(
  { layout, fields }: PageScene,
  wordings: Wordings,
  answer: string,
  answering: readonly number[],
  ...keys: readonly number[]
): Hop {
  const wording = layout === "table" ? wordings.table : wordings.receipt;
  const prompt = keys.reduce((text, key, i) => text.replace("AB"[i], fields[key][0]), wording);
  return { prompt, answer, regions: answering.map((field) => regionOf(layout, field)) };
}

const rowHop = (page: PageScene, i: number): Hop =>
  hop(page, { table: "how old is A?", receipt: "what is the price of the A?" }, page.fields[i][1], [i], i);

const mostHop = (page: PageScene): Hop => {
  const [i] = ranked(page.fields);
  return hop(page, { table: "who is the oldest?", receipt: "what costs the most?" }, page.fields[i][0], [i]);
};

const belowHop = (page: PageScene, i: number): Hop =>
  hop(page, { table: "who is below A?", receipt: "what is below the A?" }, page.fields[i + 1][0], [i + 1], i);

export const ASK_PAGE: Readonly<Record<string, (page: Page) => Question>> = {
  layout: ({ layout }) => ({ prompt: "what kind of document is this?", answer: layout }),
  field({ layout, fields, random }) {
    if (layout === "receipt") return { prompt: "what is the total?", answer: String(total(fields)) };
    const [key, value] = random.pick(fields);
    const person = key === "to" || key === "from";
    return { prompt: person ? `who is the letter ${key}?` : `what is the ${key}?`, answer: value };
  },
  row: (page) => throughHops(rowHop(page, page.random.int(page.fields.length))),
  whose({ layout, fields, random }) {
    const [key, value] = random.pick(fields);
    return { prompt: layout === "table" ? `who is ${value}?` : `what costs ${value}?`, answer: key };
  },
  below: (page) => throughHops(belowHop(page, page.random.int(page.fields.length - 1))),
  most: (page) => throughHops(mostHop(page)),
  least(page) {
    const i = ranked(page.fields).at(-1)!;
    const wordings = { table: "who is the youngest?", receipt: "what costs the least?" };
    return throughHops(hop(page, wordings, page.fields[i][0], [i]));
  },
  mostValue(page) {
    const [i] = ranked(page.fields);
    const wordings = { table: "how old is the oldest?", receipt: "what is the highest price?" };
    return throughHops(mostHop(page), hop(page, wordings, page.fields[i][1], [i]));
  },
  belowValue(page) {
    const i = page.random.int(page.fields.length - 1);
    const wordings = {
      table: "how old is the one below A?",
      receipt: "what is the price of what is below the A?",
    };
    return throughHops(belowHop(page, i), hop(page, wordings, page.fields[i + 1][1], [i + 1], i));
  },
  more(page) {
    const order = ranked(page.fields);
    const place = page.random.int(order.length);
    const wordings = {
      table: "how many people are older than A?",
      receipt: "how many things cost more than the A?",
    };
    const counted = hop(page, wordings, String(place), order.slice(0, place), order[place]);
    return throughHops(rowHop(page, order[place]), counted);
  },
  compared(page) {
    const [a, b] = some(page.random, [...page.fields.keys()], 2);
    const answer = Number(page.fields[a][1]) > Number(page.fields[b][1]) ? "yes" : "no";
    const wordings = { table: "is A older than B?", receipt: "does the A cost more than the B?" };
    return throughHops(rowHop(page, a), rowHop(page, b), hop(page, wordings, answer, [], a, b));
  },
  dearer(page) {
    const order = ranked(page.fields);
    const [more, less] = some(page.random, [...order.keys()], 2)
      .sort((a, b) => a - b)
      .map((place) => order[place]);
    const difference = String(Number(page.fields[more][1]) - Number(page.fields[less][1]));
    const wordings = { table: "", receipt: "how much more is the A than the B?" };
    return throughHops(
      rowHop(page, more),
      rowHop(page, less),
      hop(page, wordings, difference, [], more, less),
    );
  },
};
