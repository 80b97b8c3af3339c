/**
 * Answers synthetic questions from the passage in words alone: its own reading of the text and its own
 * arithmetic, none of the generators' code. That it is right shows that the passage tells all, and that the
 * answer follows from it.
 */
import { COUNTRIES } from "../../../lib/tasks/synthetic/flag-drawings.js";

export type Solve = (prompt: string, passage: string) => string;

/** The named groups of the one pattern that a prompt fits, and what to do with them. */
type Rule = readonly [pattern: RegExp, answer: (...groups: string[]) => string];

function byRules(prompt: string, rules: readonly Rule[]): string {
  for (const [pattern, answer] of rules) {
    const match = pattern.exec(prompt);
    if (match) return answer(...match.slice(1));
  }
  throw new Error(`No rule for "${prompt}".`);
}

const sorted = (values: ReadonlyMap<string, number>): string[] =>
  [...values.keys()].sort((a, b) => (values.get(b) as number) - (values.get(a) as number));
const greater = (values: ReadonlyMap<string, number>, than: number): string =>
  String([...values.values()].filter((value) => value > than).length);
const yesNo = (value: boolean): string => (value ? "yes" : "no");

const charts: Solve = (prompt, passage) => {
  const kind = /^a (\w+) chart/.exec(passage)?.[1] as string;
  const values = new Map<string, number>();
  for (const [, name, point, value] of passage.matchAll(/(?:the (\w+) (?:bar|slice)|point (\w)) is (\d+)/g)) {
    values.set(name ?? point, Number(value));
  }
  const of = (name: string): number => values.get(name) as number;
  const part = "(?:the (\\w+) (?:bar|slice)|point (\\w))";
  const two = (a: string, b: string, c: string, d: string): [number, number] => [of(a ?? b), of(c ?? d)];
  const numbers = [...values.values()];
  const names = [...values.keys()];
  const named = (test: (value: number) => boolean): string => names.find((name) => test(of(name))) as string;
  const right = (name: string): string => names[names.indexOf(name) + 1];
  return byRules(prompt, [
    [/kind of chart/, () => kind],
    [/^how many \w+ are there/, () => String(values.size)],
    [/has the value (\d+)/, (value) => named((v) => v === Number(value))],
    [/value of the largest/, () => String(Math.max(...numbers))],
    [/value of the smallest/, () => String(Math.min(...numbers))],
    [new RegExp(`value of the \\w+ right of ${part}`), (a, b) => String(of(right(a ?? b)))],
    [new RegExp(`is right of ${part}`), (a, b) => right(a ?? b)],
    [
      new RegExp(`^is ${part} larger than ${part}`),
      (...names) => {
        const [a, b] = two(names[0], names[1], names[2], names[3]);
        return yesNo(a > b);
      },
    ],
    [new RegExp(`the value of ${part}`), (a, b) => String(of(a ?? b))],
    [/second largest/, () => sorted(values)[1]],
    [/is the largest/, () => sorted(values)[0]],
    [/is the smallest/, () => sorted(values).at(-1) as string],
    [new RegExp(`are larger than ${part}`), (a, b) => greater(values, of(a ?? b))],
    [/between the largest and the smallest/, () => String(Math.max(...numbers) - Math.min(...numbers))],
    [
      new RegExp(`difference between ${part} and ${part}`),
      (...names) => {
        const [a, b] = two(names[0], names[1], names[2], names[3]);
        return String(a > b ? a - b : b - a);
      },
    ],
    [
      new RegExp(`sum of ${part} and ${part}`),
      (...names) => String(two(names[0], names[1], names[2], names[3]).reduce((x, y) => x + y)),
    ],
    [
      /does the line rise/,
      () => {
        let rises = 0;
        for (let i = 0; i + 1 < numbers.length; i++) if (numbers[i] < numbers[i + 1]) rises += 1;
        return String(rises);
      },
    ],
  ]);
};

const documents: Solve = (prompt, passage) => {
  const [, layout, list] = /^a (\w+)\. (.*)\.$/.exec(passage) as RegExpExecArray;
  const fields = new Map(list.split(/, | and /).map((entry) => entry.split(" ") as [string, string]));
  const of = (key: string): string => fields.get(key) as string;
  const numbers = new Map(
    [...fields].filter(([key]) => key !== "total").map(([key, value]) => [key, Number(value)] as const),
  );
  const number = (key: string): number => numbers.get(key) as number;
  const below = (key: string): string => {
    const keys = [...fields.keys()];
    return keys[keys.indexOf(key) + 1];
  };
  const whose = (value: string): string => ([...fields].find(([, v]) => v === value) as [string, string])[0];
  return byRules(prompt, [
    [/kind of document/, () => layout],
    [/^who is the letter (\w+)\?/, of],
    [/^how old is (\w+)\?/, of],
    [/the price of the (\w+)\?/, of],
    [/^(?:who is the oldest|what costs the most)/, () => sorted(numbers)[0]],
    [/^(?:who is the youngest|what costs the least)/, () => sorted(numbers).at(-1) as string],
    [/^(?:who is|what costs) (\d+)\?/, whose],
    [/^how old is the oldest|^what is the highest price/, () => String(Math.max(...numbers.values()))],
    [/^(?:how old is the one|what is the price of what is) below (?:the )?(\w+)/, (key) => of(below(key))],
    [/^(?:who|what) is below (?:the )?(\w+)/, below],
    [
      /^(?:is|does the) (\w+) (?:older than|cost more than the) (\w+)/,
      (a, b) => yesNo(number(a) > number(b)),
    ],
    [/how many \w+ (?:are older than|cost more than the) (\w+)/, (key) => greater(numbers, number(key))],
    [/how much more is the (\w+) than the (\w+)/, (a, b) => String(number(a) - number(b))],
    [/^what is the (\w+)\?/, of],
  ]);
};

const sceneText: Solve = (prompt, passage) => {
  const things = [
    ...passage.matchAll(/in the (top|middle|bottom) row (left|right) the (\w+) (\w+) says (\w+)/g),
  ].map(([, row, side, colour, kind, word]) => ({
    row: ["top", "middle", "bottom"].indexOf(row),
    side,
    colour,
    kind,
    word,
  }));
  const find = (test: (thing: (typeof things)[number]) => boolean) => {
    const found = things.filter(test);
    if (found.length !== 1) throw new Error(`${found.length} things fit "${prompt}" in "${passage}".`);
    return found[0];
  };
  const beside = (side: string, colour: string) => {
    const known = find((t) => t.colour === colour);
    return find((t) => t.row === known.row && t.side === side && t.side !== known.side);
  };
  const place = (test: (thing: (typeof things)[number]) => boolean) => {
    const { row, side } = find(test);
    return `${["top", "middle", "bottom"][row]} ${side}`;
  };
  const along = (way: string, colour: string) => {
    const known = find((t) => t.colour === colour);
    const there = things
      .filter((t) => t.side === known.side && (way === "above" ? t.row < known.row : t.row > known.row))
      .sort((a, b) => Math.abs(a.row - known.row) - Math.abs(b.row - known.row));
    return there[0].word;
  };
  return byRules(prompt, [
    [/^what does the (\w+) say/, (kind) => find((t) => t.kind === kind).word],
    [
      /^what does the (\w+) (\w+) say/,
      (colour, kind) => find((t) => t.colour === colour && t.kind === kind).word,
    ],
    [/^where is the word (\w+)/, (word) => place((t) => t.word === word)],
    [/^where is the (\w+) \w+/, (colour) => place((t) => t.colour === colour)],
    [/^what color is the word (left|right) of the (\w+)/, (side, colour) => beside(side, colour).colour],
    [/^what color is the word (\w+) on/, (word) => find((t) => t.word === word).colour],
    [/^what is the word (left|right) of the (\w+)/, (side, colour) => beside(side, colour).word],
    [/^what is the word (above|below) the (\w+)/, along],
    [/^what is the word (\w+) on/, (word) => find((t) => t.word === word).kind],
  ]);
};

const scenes: Solve = (prompt, passage) => {
  const places = /(top|middle|bottom) (left|center|right) an? (\w+) (\w+)[,.]/g;
  const things = [...passage.matchAll(places)].map(([, row, column, colour, shape]) => ({
    colour,
    shape,
    row: ["top", "middle", "bottom"].indexOf(row),
    column: ["left", "center", "right"].indexOf(column),
  }));
  const called = (colour: string, shape: string) =>
    things.find((t) => t.colour === colour && t.shape === shape);
  const only = (test: (thing: (typeof things)[number]) => boolean) => {
    const found = things.filter(test);
    if (found.length !== 1) throw new Error(`${found.length} things fit "${prompt}" in "${passage}".`);
    return found[0];
  };
  const singular = (word: string) => (word === "crosses" ? "cross" : word.replace(/s$/, ""));
  const where = (c1: string, s1: string, a: string, b: string, c2: string, s2: string) => {
    const [first, second] = [called(c1, s1), called(c2, s2)];
    if (!first || !second) throw new Error(`"${prompt}" asks for what is not in "${passage}".`);
    const truths: Record<string, boolean> = {
      left: first.column < second.column,
      right: first.column > second.column,
      above: first.row < second.row,
      below: first.row > second.row,
    };
    const answers = [a, b].filter((word) => truths[word]);
    if (answers.length !== 1) throw new Error(`Both or neither of ${a} and ${b} in "${passage}".`);
    return answers[0];
  };
  return byRules(prompt, [
    [/^what color is the (\w+)\?/, (shape) => only((t) => t.shape === shape).colour],
    [
      /^where is the (\w+)\?/,
      (shape) => {
        const { row, column } = only((t) => t.shape === shape);
        return `${["top", "middle", "bottom"][row]} ${["left", "center", "right"][column]}`;
      },
    ],
    [
      /^is there either an? (\w+) (\w+) or an? (\w+) (\w+), not both/,
      (a, b, c, d) => yesNo((called(a, b) !== undefined) !== (called(c, d) !== undefined)),
    ],
    [
      /^how many (\w+) shapes are there/,
      (colour) => String(things.filter((t) => t.colour === colour).length),
    ],
    [
      /^how many (\w+) are there/,
      (shapes) => String(things.filter((t) => t.shape === singular(shapes)).length),
    ],
    [/^is the (\w+) shape an? (\w+) or an? (\w+)\?/, (colour) => only((t) => t.colour === colour).shape],
    [
      /^is the (\w+) (\w+) (left|right|above|below) or (\w+)(?: of)? the (\w+) (\w+)\?/,
      (c1, s1, a, b, c2, s2) => where(c1, s1, a, b, c2, s2),
    ],
    [/^is the (\w+) (\w+) or (\w+)\?/, (shape) => only((t) => t.shape === shape).colour],
    [
      /^are the (\w+) and the (\w+) the same/,
      (a, b) => yesNo(only((t) => t.shape === a).colour === only((t) => t.shape === b).colour),
    ],
    [
      /^is there an? (\w+) (\w+) and an? (\w+) (\w+)/,
      (a, b, c, d) => yesNo(called(a, b) !== undefined && called(c, d) !== undefined),
    ],
    [
      /^is there an? (\w+) (\w+) or an? (\w+) (\w+)/,
      (a, b, c, d) => yesNo(called(a, b) !== undefined || called(c, d) !== undefined),
    ],
  ]);
};

const captions: Solve = (prompt, passage) => {
  const place = /^the image shows an? (\w+)\./.exec(passage)?.[1] as string;
  const things = [...passage.matchAll(/there is an? (?:(\w+) )?(\w+)\./g)].map(([, colour, name]) => ({
    colour,
    name,
  }));
  return byRules(prompt, [
    [/^what place/, () => place],
    [/^is there an? (\w+)\?/, (name) => yesNo(things.some((t) => t.name === name))],
    [/^what color is the (\w+)\?/, (name) => things.find((t) => t.name === name)?.colour as string],
    // Descriptions come in another order: compared as sets where they are tested.
    [/^describe|^please describe/, () => [place, ...things.map((t) => t.name)].sort().join(" ")],
  ]);
};

const PLANETS: Readonly<Record<string, string>> = {
  "gray planet with spots": "mercury",
  "yellow planet with clouds": "venus",
  "blue planet with land and ice": "earth",
  "red planet with spots and ice": "mars",
  "orange planet with bands and a spot": "jupiter",
  "yellow planet with a ring": "saturn",
  "cyan planet with no marks": "uranus",
  "blue planet with clouds and a spot": "neptune",
};

const planets: Solve = (prompt, passage) => {
  const [, look, beside] = /^an? (.*)\. (?:an? )?(\w+) beside it\.$/.exec(passage) as RegExpExecArray;
  return byRules(prompt, [
    [/^this is the planet$|^is this (\w+) or (\w+)\?$/, () => PLANETS[look]],
    [/^what color/, () => look.split(" ")[0]],
    [/^what is beside/, () => beside],
  ]);
};

const animals: Solve = (prompt, passage) => {
  const animal = /^this is an? (\w+)\./.exec(passage)?.[1] as string;
  return byRules(prompt, [
    [/^what animal| or /, () => animal],
    [/^is this an? (\w+)\?$/, (name) => yesNo(name === animal)],
  ]);
};

const flags: Solve = (prompt, passage) => {
  const country = /^the flag of (\w+)\.$/.exec(passage)?.[1] as string;
  return byRules(prompt, [
    [/^which country|^is this the flag/, () => country],
    [/^which continent/, () => COUNTRIES[country].continent],
    [/^what is the capital of (\w+)/, (named) => COUNTRIES[named].capital],
    [/^what is its capital/, () => COUNTRIES[country].capital],
  ]);
};

const sums: Solve = (prompt, passage) => {
  const [, a, sign, b] = /^the board says (\d) (.) (\d) =\.$/.exec(passage) as RegExpExecArray;
  const [x, y] = [Number(a), Number(b)];
  const results: Readonly<Record<string, number>> = { "+": x + y, "-": x - y, "*": x * y, "/": x / y };
  return byRules(prompt, [
    [/first/, () => a],
    [/second/, () => b],
    [/result/, () => String(results[sign])],
  ]);
};

const hands: Solve = (prompt, passage) => {
  const counted = /(\d) (\w+)\.$/.exec(passage) as RegExpExecArray;
  return byRules(prompt, [
    [/^what is this/, () => (passage.startsWith("a hand") ? "hand" : counted[2])],
    [/^how many (\w+) are there/, (what) => (what === counted[2] ? counted[1] : "0")],
  ]);
};

export const SOLVERS: Readonly<Record<string, Solve>> = {
  charts,
  documents,
  "scene-text": sceneText,
  scenes,
  captions,
  planets,
  animals,
  flags,
  sums,
  hands,
};
