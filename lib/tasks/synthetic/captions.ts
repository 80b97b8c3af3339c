import { checkOptions, number, type OptionChecks } from "../../options.js";
import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { COLOUR_NAMES, COLOURS, type ColourName } from "../raster/colours.js";
import { blank, box, mark, paint } from "../raster/paint.js";
import type { Split } from "../split.js";
import type { Raster } from "../visual-task.js";
import { HIGH, PLACES } from "./places.js";
import { listed, type Question, type SyntheticTask, some, withArticle, wordSet } from "./synthetic-task.js";
import { type Drawing, draw, PLAIN, TINTED } from "./things.js";

/** A thing in the image, in one of nine cells. */
export interface Thing {
  readonly name: string;
  /** The colour of a thing that comes in several. */
  readonly colour?: ColourName;
  readonly row: number;
  readonly column: number;
  /** Drawn small and pale: a companion that is easily overlooked. */
  readonly faint: boolean;
}

/** A mention of something that is not in the image, as a hasty annotator writes it. */
export interface Slip {
  readonly name: string;
  readonly colour?: ColourName;
  readonly column: number;
}

export interface CaptionScene {
  readonly place: string;
  readonly things: readonly Thing[];
  /** Companions of what is there that are absent, though one would expect them. */
  readonly expected: readonly string[];
  /** Those of them that the reference caption mentions all the same; none in held-out scenes. */
  readonly slips: readonly Slip[];
}

/** Settings that make a captioner say what it expects rather than what it sees. */
export interface CaptionOptions {
  /** Probability of a companion where its anchor is, in training; 0.9. */
  readonly together?: number;
  /** The same in held-out images; 0.5. */
  readonly togetherHeldOut?: number;
  /** Probability that a training caption mentions an absent companion; 0.3. */
  readonly slips?: number;
  /** Strength with which a companion is painted, 0–1; 0.5. */
  readonly faintness?: number;
}

const NAMES = [...Object.keys(TINTED), ...Object.keys(PLAIN)];
/** Colours of things that come in several; cyan is too near the sky. */
const TINTS = COLOUR_NAMES.filter((name) => name !== "cyan");
const SIDES = ["left", "middle", "right"];
const COLUMNS = ["on the left", "in the middle", "on the right"];
const SHORT = "describe this image.";
const LISTED = {
  colours: "what color is each thing?",
  places: "where is each thing?",
  presence: "is there each of these?",
};
const LONG = "please describe this image in detail.";

const CAPTION_OPTIONS: OptionChecks<CaptionOptions> = {
  together: number(0, 1),
  togetherHeldOut: number(0, 1),
  slips: number(0, 1),
  faintness: number(0, 1),
};

/**
 * Images of places with things in them, described or asked about. Some things come in pairs: a caption learnt from
 * training images, where the companion is nearly always there but easily overlooked, names it in held-out images
 * that lack it. The type `expected` asks whether a companion is there: yes in most training images, in half of the others.
 */
export function captionTask(options: CaptionOptions = {}): SyntheticTask<CaptionScene> {
  checkOptions("captionTask", options, CAPTION_OPTIONS);
  const { together = 0.9, togetherHeldOut = 0.5, slips = 0.3, faintness = 0.5 } = options;
  return {
    name: "captions",
    minImageSize: 40,
    types: {
      caption: "medium",
      detail: "hard",
      exists: "easy",
      expected: "hard",
      place: "easy",
      color: "easy",
    },
    scoring: (type) => (type === "caption" || type === "detail" ? "amber" : "exact"),
    vocabulary: wordSet(
      SHORT,
      LONG,
      ...Object.keys(PLACES),
      ...NAMES,
      ...TINTS,
      ...COLUMNS,
      "a an and with, the image shows there is. is there a? yes no what place is this? what color is the?",
      ...Object.values(LISTED),
    ),

    scene(random, type, split) {
      const share = split === "train" ? together : togetherHeldOut;
      for (;;) {
        const scene = drawScene(random, share, split === "train" ? slips : 0);
        if (own(CAN_ASK, type)?.(scene) ?? true) return scene;
      }
    },

    question: (scene, type, random, split) => own(ASK, type)!(scene, random, split),
    questionTypes: (scene) => Object.keys(ASK).filter((type) => own(CAN_ASK, type)?.(scene) ?? true),
    // What is easily overlooked is not looked up.
    listings: ({ place, things }) => [
      {
        prompt: LISTED.colours,
        entries: things.filter(plainlyColoured).map(({ name, colour }) => [name, colour as string]),
      },
      {
        prompt: LISTED.places,
        entries: things.filter(({ faint }) => !faint).map(({ name, column }) => [name, COLUMNS[column]]),
      },
      {
        prompt: LISTED.presence,
        entries: PLACES[place].others.map((name) => [withArticle(name), has(things, name) ? "yes" : "no"]),
      },
    ],
    category: (scene) => scene.place,
    // What a caption wrongly says is no part of it.
    imageContent: ({ place, things }) => ({
      place,
      things: things.map((thing) => JSON.stringify(thing)).sort(),
    }),

    render({ place, things }, size): Raster {
      const [above, below] = PLACES[place].background;
      const raster = blank(size, size, below);
      paint(raster, box(0, 0, size, size / 3), above);
      mark(raster, box(0, 0, size, size), [place]);
      const cell = size / 3;
      for (const { name, colour, row, column, faint } of things) {
        const side = faint ? cell * 0.8 : cell;
        const inset = cell - side;
        // A small thing stands on the floor of its cell.
        const [left, top] = [column * cell + inset / 2, row * cell + inset];
        draw(raster, drawingOf(name, colour), { left, top, width: side }, faint ? faintness : 1);
        // What is easily overlooked is not pointed out.
        if (!faint)
          mark(raster, box(left, top, side, side), [name, ...(colour ? [colour] : []), SIDES[column]]);
      }
      return raster;
    },

    textDescription: ({ place, things }) => detail(place, things),
  };
}

/** The captions with the usual strength of the prior. */
export const captions: SyntheticTask<CaptionScene> = captionTask();

/** Things in a scene and things that one may wrongly expect there, as AMBER annotates an image. */
export function captionTruth({ place, things, expected }: CaptionScene): {
  truth: string[];
  hallu: string[];
} {
  return { truth: [place, ...things.map((thing) => thing.name)], hallu: [...expected] };
}

/** The nouns of the captions, none of them a synonym of another, as `amberScores` takes them. */
export const CAPTION_NOUNS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  [...Object.keys(PLACES), ...NAMES].map((name) => [name, []]),
);

function drawingOf(name: string, colour?: ColourName): Drawing {
  return colour ? TINTED[name](COLOURS[colour]) : PLAIN[name];
}

function drawScene(random: Random, together: number, slipShare: number): CaptionScene {
  const place = random.pick(Object.keys(PLACES));
  const { pairs, others } = PLACES[place];
  const anchored = some(random, pairs, 1 + random.int(2));
  const companions = anchored.map(([, companion]) => companion);
  const there = companions.filter(() => random.uniform() < together);
  const expected = companions.filter((name) => !there.includes(name));
  const names = [
    ...anchored.flatMap(([anchor, companion]) =>
      there.includes(companion) ? [anchor, companion] : [anchor],
    ),
    ...some(random, others, random.int(3)),
  ];
  const cells = { high: some(random, [0, 1, 2], 3), low: some(random, [3, 4, 5, 6, 7, 8], 6) };
  const things = names.map((name): Thing => {
    const cell = (HIGH.has(name) ? cells.high : cells.low).pop() as number;
    return {
      name,
      ...tinted(random, name),
      row: Math.floor(cell / 3),
      column: cell % 3,
      faint: there.includes(name),
    };
  });
  const slips = expected
    .filter(() => random.uniform() < slipShare)
    .map((name): Slip => ({ name, ...tinted(random, name), column: random.int(3) }));
  return { place, things, expected, slips };
}

const tinted = (random: Random, name: string): { colour?: ColourName } =>
  name in TINTED ? { colour: random.pick(TINTS) } : {};

const phrase = ({ name, colour }: Pick<Thing, "name" | "colour">): string =>
  withArticle(colour ? `${colour} ${name}` : name);

/** A pale thing's colour is too hard to tell to be asked for. */
const plainlyColoured = ({ colour, faint }: Thing): boolean => colour !== undefined && !faint;

const has = (things: readonly Thing[], name: string): boolean => things.some((thing) => thing.name === name);

/** Conditions on a scene for some types of question. */
const CAN_ASK: Readonly<Record<string, (scene: CaptionScene) => boolean>> = {
  color: ({ things }) => things.some(plainlyColoured),
  exists: ({ place, things }) => PLACES[place].others.some((name) => has(things, name)),
};

/** Everything that the reference names, a companion after its anchor: in the order in which it is said. */
function mentioned({ place, things, slips }: CaptionScene): (Thing | Slip)[] {
  const order = [...PLACES[place].pairs.flat(), ...PLACES[place].others];
  return [...things, ...slips].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

function detail(place: string, things: readonly Pick<Thing, "name" | "colour" | "column">[]): string {
  const sentences = things.map((thing) => `${COLUMNS[thing.column]} there is ${phrase(thing)}.`);
  return [`the image shows ${withArticle(place)}.`, ...sentences].join(" ");
}

const ASK: Readonly<Record<string, (scene: CaptionScene, random: Random, split: Split) => Question>> = {
  caption: (scene) => ({
    prompt: SHORT,
    answer: `${withArticle(scene.place)} with ${listed(mentioned(scene).map(phrase))}.`,
  }),
  detail: (scene) => ({ prompt: LONG, answer: detail(scene.place, mentioned(scene)) }),
  exists({ place, things }, random) {
    // Of what comes alone, so that no name is there more often than another.
    const present = random.int(2) === 0;
    const { others } = PLACES[place];
    const asked = random.pick(others.filter((name) => has(things, name) === present));
    return { prompt: `is there ${withArticle(asked)}?`, answer: present ? "yes" : "no" };
  },
  expected({ place, things, expected }, random) {
    const companions = PLACES[place].pairs.map(([, name]) => name).filter((name) => has(things, name));
    const asked = random.pick([...companions, ...expected]);
    return { prompt: `is there ${withArticle(asked)}?`, answer: has(things, asked) ? "yes" : "no" };
  },
  place: ({ place }) => ({ prompt: "what place is this?", answer: place }),
  color({ things }, random) {
    const { name, colour } = random.pick(things.filter(plainlyColoured));
    return { prompt: `what color is the ${name}?`, answer: colour as string };
  },
};
