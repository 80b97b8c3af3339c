import { own } from "../../own.js";
import type { Random } from "../../random.js";
import { COLOUR_NAMES, COLOURS, type ColourName, LIGHT, WHITE } from "../raster/colours.js";
import { blank, type Colour, mark, paint, placed } from "../raster/paint.js";
import type { Hop, Raster } from "../visual-task.js";
import { plural, SHAPE_NAMES, SHAPES, type ShapeName } from "./shapes.js";
import { numerals, type Question, type SyntheticTask, some, withArticle, wordSet } from "./synthetic-task.js";

/** One object in a cell of a 3×3 grid, nudged by hundredths of a cell. */
export interface SceneObject {
  readonly shape: ShapeName;
  readonly colour: ColourName;
  /** From the top, 0–2. */
  readonly row: number;
  /** From the left, 0–2. */
  readonly column: number;
  readonly nudge: readonly [x: number, y: number];
}

export interface ObjectScene {
  readonly objects: readonly SceneObject[];
  /** Which of the pale backgrounds. */
  readonly background: number;
}

type Kind = Pick<SceneObject, "shape" | "colour">;

const BACKGROUNDS: readonly Colour[] = [WHITE, LIGHT, [250, 240, 214], [220, 238, 226]];
const MOST = 5;
const ROWS = ["top", "middle", "bottom"];
const COLUMNS = ["left", "center", "right"];
const LISTED = {
  colours: "what color is each shape?",
  shapes: "what shape has each color?",
  counts: "how many are there of each?",
  places: "where is each shape?",
  presence: "is there each of these?",
};
const DIRECTIONS = { left: "right", above: "below" } as const;

/**
 * Coloured shapes on a grid, asked about in the six task types of GQA that the published studies of information flow
 * use (structural × semantic type: https://arxiv.org/abs/2411.18620, section 3), and counted (`QueryCount`).
 */
export const scenes: SyntheticTask<ObjectScene> = {
  name: "scenes",
  minImageSize: 32,
  types: {
    QueryAttr: "easy",
    ChooseAttr: "easy",
    ChooseCat: "easy",
    QueryPlace: "medium",
    QueryCount: "medium",
    ChooseRel: "hard",
    CompareAttr: "hard",
    LogicalObj: "hard",
    ExclusiveObj: "hard",
  },
  scoring: () => "exact",
  vocabulary: wordSet(
    ...SHAPE_NAMES,
    ...SHAPE_NAMES.map(plural),
    ...COLOUR_NAMES,
    ...numerals(0, MOST),
    "what color is the? is the shape a or an? how many shapes are there?",
    "left right above below of top middle bottom center, yes no",
    "are the and the the same color? is there a and a?.",
    "where is the? is there either a or a, not both?",
    ...Object.values(LISTED),
  ),

  scene(random, type) {
    const kinds = kindsFor(random, type);
    const cells = some(
      random,
      Array.from({ length: 9 }, (_, i) => i),
      kinds.length,
    );
    return {
      objects: kinds.map((kind, i) => ({
        ...kind,
        row: Math.floor(cells[i] / 3),
        column: cells[i] % 3,
        nudge: [random.int(13) - 6, random.int(13) - 6],
      })),
      background: random.int(BACKGROUNDS.length),
    };
  },

  question: (scene, type, random) => own(ASK, type)!(scene, random),
  questionTypes({ objects }) {
    const several = objects.length > 1 && alone(objects, "shape").length === objects.length;
    return [
      "QueryCount",
      ...(several
        ? ["QueryAttr", "QueryPlace", "ChooseAttr", "ChooseRel", "CompareAttr", "LogicalObj", "ExclusiveObj"]
        : []),
      ...(several && alone(objects, "colour").includes(objects[0]) ? ["ChooseCat"] : []),
    ];
  },
  listings({ objects }, random) {
    const counted = countable(objects);
    const kinds = [...new Set(objects.map(named))];
    return [
      {
        prompt: LISTED.colours,
        entries: alone(objects, "shape").map(({ shape, colour }) => [shape, colour]),
      },
      {
        prompt: LISTED.shapes,
        entries: alone(objects, "colour").map(({ shape, colour }) => [colour, shape]),
      },
      {
        prompt: LISTED.counts,
        entries: [...counted.filter(([, n]) => n > 0), ...some(random, counted, 3)].map(([what, n]) => [
          what,
          `${n}`,
        ]),
      },
      {
        prompt: LISTED.places,
        entries: alone(objects, "shape").map((o) => [named(o), placeOf(o)]),
      },
      {
        prompt: LISTED.presence,
        entries: [
          ...kinds.map((kind) => [withArticle(kind), "yes"] as const),
          ...some(random, absentKinds(objects), kinds.length).map(
            (kind) => [withArticle(named(kind)), "no"] as const,
          ),
        ],
      },
    ];
  },
  category: (scene) => String(scene.objects.length),
  // A nudge makes no new scene: what is held out differs in what stands where.
  imageContent: ({ objects, background }) => [
    background,
    ...objects.map(({ shape, colour, row, column }) => `${row}${column}${colour}${shape}`).sort(),
  ],

  render(scene, size): Raster {
    const raster = blank(size, size, BACKGROUNDS[scene.background]);
    const cell = size / 3;
    for (const { shape, colour, row, column, nudge } of scene.objects) {
      const left = (column + 0.08 + nudge[0] / 100) * cell;
      const top = (row + 0.08 + nudge[1] / 100) * cell;
      const region = placed(SHAPES[shape], left, top, cell * 0.84, cell * 0.84);
      paint(raster, region, COLOURS[colour]);
      mark(raster, region, [shape, colour, ROWS[row], COLUMNS[column]]);
    }
    return raster;
  },

  // The place before the object: a description can be learnt by looking there.
  textDescription({ objects }) {
    const phrases = [...objects]
      .sort((a, b) => a.row - b.row || a.column - b.column)
      .map((o) => `${ROWS[o.row]} ${COLUMNS[o.column]} ${withArticle(named(o))}`);
    return `${phrases.join(", ")}.`;
  },
};

/**
 * The objects of a scene. Two questions need a certain make-up to have either answer equally often: two shapes of one
 * colour, and several of what is counted.
 */
function kindsFor(random: Random, type: string): Kind[] {
  const drawn = (shape: ShapeName): Kind => ({ shape, colour: random.pick(COLOUR_NAMES) });
  if (type === "QueryCount") {
    const repeated = drawn(random.pick(SHAPE_NAMES));
    const byShape = random.int(2) === 0;
    const count = random.int(MOST + 1);
    const alike = Array.from({ length: count }, () => ({
      shape: byShape ? repeated.shape : random.pick(SHAPE_NAMES),
      colour: byShape ? random.pick(COLOUR_NAMES) : repeated.colour,
    }));
    const others = Array.from({ length: random.int(MOST - Math.min(count, MOST - 1)) }, () => ({
      shape: random.pick(SHAPE_NAMES.filter((s) => s !== repeated.shape)),
      colour: random.pick(COLOUR_NAMES.filter((c) => c !== repeated.colour)),
    }));
    const all = [...alike, ...others];
    return all.length === 0 ? [drawn(random.pick(SHAPE_NAMES))] : all;
  }
  const kinds = some(random, SHAPE_NAMES, 2 + random.int(MOST - 2)).map(drawn);
  if (type === "CompareAttr") {
    const [{ colour }, other, ...rest] = kinds;
    const same = random.int(2) === 0;
    const compared = same ? colour : random.pick(COLOUR_NAMES.filter((name) => name !== colour));
    return [kinds[0], { ...other, colour: compared }, ...rest];
  }
  if (type === "ChooseCat") {
    // Asked for by its colour, one object must be the only one of its colour.
    const others = COLOUR_NAMES.filter((c) => c !== kinds[0].colour);
    return kinds.map((kind, i) => (i === 0 ? kind : { ...kind, colour: random.pick(others) }));
  }
  return kinds;
}

/** The objects whose shape, or colour, no other has. */
const alone = (objects: readonly SceneObject[], of: "shape" | "colour"): SceneObject[] =>
  objects.filter((a) => objects.every((b) => a === b || a[of] !== b[of]));

const placeOf = (o: SceneObject): string => `${ROWS[o.row]} ${COLUMNS[o.column]}`;

const named = (o: Kind): string => `${o.colour} ${o.shape}`;

/** Two words in random order, as the choice that a question gives. */
const either = (random: Random, a: string, b: string, article = false): string =>
  random
    .shuffle([a, b])
    .map((word) => (article ? withArticle(word) : word))
    .join(" or ");

const ASK: Readonly<Record<string, (scene: ObjectScene, random: Random) => Question>> = {
  QueryAttr({ objects }, random) {
    const { shape, colour } = random.pick(objects);
    return { prompt: `what color is the ${shape}?`, answer: colour };
  },
  QueryPlace({ objects }, random) {
    const o = random.pick(objects);
    return { prompt: `where is the ${o.shape}?`, answer: placeOf(o) };
  },
  ChooseAttr({ objects }, random) {
    const { shape, colour } = random.pick(objects);
    const other = random.pick(COLOUR_NAMES.filter((c) => c !== colour));
    return { prompt: `is the ${shape} ${either(random, colour, other)}?`, answer: colour };
  },
  ChooseCat({ objects: [{ shape, colour }] }, random) {
    const other = random.pick(SHAPE_NAMES.filter((s) => s !== shape));
    return { prompt: `is the ${colour} shape ${either(random, shape, other, true)}?`, answer: shape };
  },
  QueryCount({ objects }, random) {
    // The number first, then something that there are so many of: every number is the answer about as often.
    const asked = countable(objects);
    const count = random.pick([...new Set(asked.map(([, n]) => n))]);
    const [what] = random.pick(asked.filter(([, n]) => n === count));
    return { prompt: `how many ${what} are there?`, answer: String(count) };
  },
  ChooseRel({ objects }, random) {
    const [a, b] = some(random, objects, 2);
    const across = a.row === b.row || (a.column !== b.column && random.int(2) === 0);
    const first = across ? "left" : "above";
    const second = DIRECTIONS[first];
    const answer = (across ? a.column < b.column : a.row < b.row) ? first : second;
    const choice = across ? `${either(random, first, second)} of` : either(random, first, second);
    const prompt = `is the ${named(a)} ${choice} the ${named(b)}?`;
    return { prompt, answer, hops: [...placeHops(objects, a, b), { prompt, answer, regions: [] }] };
  },
  CompareAttr({ objects }, random) {
    const [a, b] = objects;
    const [first, second] = random.shuffle([0, 1]);
    const found = [first, second].map((i) => ({
      prompt: `what color is the ${objects[i].shape}?`,
      answer: objects[i].colour,
      regions: [i],
    }));
    const prompt = `are the ${objects[first].shape} and the ${objects[second].shape} the same color?`;
    const answer = a.colour === b.colour ? "yes" : "no";
    return { prompt, answer, hops: [...found, { prompt, answer, regions: [] }] };
  },
  LogicalObj({ objects }, random) {
    // With one of two present, "and" and "or" differ: image and wording are needed together.
    const and = random.int(2) === 0;
    const mixed = random.int(2) === 0;
    const there = some(random, objects, 2).map(named);
    const missing = some(random, absentKinds(objects), 2).map(named);
    const [a, b] = mixed ? random.shuffle([there[0], missing[0]]) : and ? there : missing;
    return {
      prompt: `is there ${withArticle(a)} ${and ? "and" : "or"} ${withArticle(b)}?`,
      answer: and !== mixed ? "yes" : "no",
    };
  },
  ExclusiveObj({ objects }, random) {
    // Both or neither are there as often as one: neither thing alone tells, nor does the wording.
    const one = random.int(2) === 0;
    const there = some(random, objects, 2).map(named);
    const missing = some(random, absentKinds(objects), 2).map(named);
    const [a, b] = one ? random.shuffle([there[0], missing[0]]) : random.int(2) === 0 ? there : missing;
    return {
      prompt: `is there either ${withArticle(a)} or ${withArticle(b)}, not both?`,
      answer: one ? "yes" : "no",
    };
  },
};

/** Steps that find the places of objects, on the way to their relative position. */
const placeHops = (objects: readonly SceneObject[], ...asked: readonly SceneObject[]): Hop[] =>
  asked.map((o) => ({
    prompt: `where is the ${o.shape}?`,
    answer: placeOf(o),
    regions: [objects.indexOf(o)],
  }));

/** Everything that can be counted, with how many of it there are. */
function countable(objects: readonly SceneObject[]): (readonly [what: string, count: number])[] {
  const count = (of: (o: SceneObject) => boolean): number => objects.filter(of).length;
  return [
    ...SHAPE_NAMES.map((shape) => [plural(shape), count((o) => o.shape === shape)] as const),
    ...COLOUR_NAMES.map((colour) => [`${colour} shapes`, count((o) => o.colour === colour)] as const),
  ];
}

function absentKinds(objects: readonly SceneObject[]): Kind[] {
  return SHAPE_NAMES.flatMap((shape) => COLOUR_NAMES.map((colour) => ({ shape, colour }))).filter(
    (kind) => !objects.some((o) => o.shape === kind.shape && o.colour === kind.colour),
  );
}
