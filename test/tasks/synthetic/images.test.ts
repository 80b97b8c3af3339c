/** Reads scenes back from the pixels of their images: what the annotation says is what a person sees. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import {
  type BoxAnnotation,
  COLOUR_NAMES,
  COLOURS,
  charts,
  documents,
  drawTasks,
  encodePng,
  flags,
  hands,
  type Raster,
  rasterOf,
  SYNTHETIC_TASKS,
  type SyntheticTask,
  scenes,
  sceneText,
  sums,
  type VisualTask,
} from "../../../lib/tasks/index.js";
import { DRAWABLE, GLYPH_HEIGHT, textWidth, write } from "../../../lib/tasks/raster/font.js";
import { blank, box, disc, paint } from "../../../lib/tasks/raster/paint.js";
import { COUNTRIES } from "../../../lib/tasks/synthetic/flag-drawings.js";
import { CITIES, GOODS, JOBS, MONTHS, NAMES, SIGNS } from "../../../lib/tasks/synthetic/words.js";

type Pixel = readonly number[];
const at = ({ width, data }: Raster, x: number, y: number): Pixel => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];
const same = (a: Pixel, b: Pixel): boolean => a.every((level, c) => level === b[c]);

function count(raster: Raster, colour: Pixel): number {
  let n = 0;
  for (let y = 0; y < raster.height; y++)
    for (let x = 0; x < raster.width; x++) if (same(at(raster, x, y), colour)) n++;
  return n;
}

/** Numbers of separate patches of a colour, joined at edges. */
function patches(raster: Raster, colour: Pixel): number {
  const { width, height } = raster;
  const seen = new Uint8Array(width * height);
  let found = 0;
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] || !same(at(raster, start % width, Math.floor(start / width)), colour)) continue;
    found++;
    const waiting = [start];
    while (waiting.length > 0) {
      const i = waiting.pop() as number;
      const [x, y] = [i % width, Math.floor(i / width)];
      if (seen[i] || !same(at(raster, x, y), colour)) continue;
      seen[i] = 1;
      if (x > 0) waiting.push(i - 1);
      if (x + 1 < width) waiting.push(i + 1);
      if (y > 0) waiting.push(i - width);
      if (y + 1 < height) waiting.push(i + width);
    }
  }
  return found;
}

/** Number of times that a text stands in an image: all its dots in one ink, and no pixel between them in that ink. */
function readings(raster: Raster, text: string, scale: number): number {
  const [width, height] = [textWidth(text, scale), GLYPH_HEIGHT * scale];
  const stencil = blank(width, height, [255, 255, 255]);
  write(stencil, text, [0, 0], [0, 0, 0], scale);
  const dots: [x: number, y: number, ink: boolean][] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) dots.push([x, y, at(stencil, x, y)[0] === 0]);
  const [x0, y0] = dots.find(([, , ink]) => ink) as [number, number, boolean];
  let found = 0;
  for (let top = 0; top + height <= raster.height; top++) {
    for (let left = 0; left + width <= raster.width; left++) {
      const ink = at(raster, left + x0, top + y0);
      if (dots.every(([x, y, on]) => same(at(raster, left + x, top + y), ink) === on)) found++;
    }
  }
  return found;
}

describe("scenes", () => {
  for (const size of [32, 48]) {
    it(`show each object where it is, and nothing elsewhere, at ${size} pixels`, () => {
      for (const task of drawTasks(scenes, { count: 100, split: "heldout", size })) {
        const raster = rasterOf(task);
        for (let cell = 0; cell < 9; cell++) {
          const [row, column] = [Math.floor(cell / 3), cell % 3];
          const object = task.annotation.objects.find((o) => o.row === row && o.column === column);
          // A little below the middle, inside every shape wherever it is nudged to.
          const [x, y] = [column, row].map((i, axis) => Math.floor((i + (axis ? 0.55 : 0.5)) * (size / 3)));
          const seen = at(raster, x, y);
          if (object) assert.deepEqual(seen, [...COLOURS[object.colour]], JSON.stringify(object));
          else for (const name of COLOUR_NAMES) assert.ok(!same(seen, COLOURS[name]));
        }
      }
    });
  }
});

/** The part of an image that a mark is about. */
function marked(raster: Raster, { left, top, right, bottom }: BoxAnnotation): Raster {
  const [x0, y0] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
  const width = Math.min(raster.width, Math.ceil(right)) - x0;
  const height = Math.min(raster.height, Math.ceil(bottom)) - y0;
  const rows = Array.from({ length: height }, (_, y) => {
    const from = 3 * ((y0 + y) * raster.width + x0);
    return [...raster.data.subarray(from, from + 3 * width)];
  });
  return { width, height, data: Uint8Array.from(rows.flat()) };
}

describe("marks", () => {
  for (const synthetic of Object.values(SYNTHETIC_TASKS) as SyntheticTask<unknown>[]) {
    it(`are words of their synthetic, about a part of the image: ${synthetic.name}`, () => {
      for (const task of drawTasks(synthetic, { count: 60, split: "heldout" })) {
        const raster = rasterOf(task);
        for (const { left, top, right, bottom, words } of raster.annotations!) {
          assert.ok(
            words.length > 0 && words.every((word) => synthetic.vocabulary.includes(word)),
            `${words}`,
          );
          assert.ok(left < right && top < bottom);
          assert.ok(right > 0 && bottom > 0 && left < raster.width && top < raster.height);
        }
      }
    });
  }

  it("are where the text stands that they give", () => {
    const drawn = [documents, sums, sceneText].flatMap((synthetic): VisualTask[] =>
      drawTasks(synthetic as SyntheticTask<unknown>, { count: 40, split: "heldout" }),
    );
    for (const task of drawn) {
      const raster = rasterOf(task);
      for (const mark of raster.annotations!) {
        // A board's other words are its colour and what it is.
        const written = task.dataset === "scene-text" ? mark.words.slice(0, 1) : mark.words;
        for (const word of written)
          assert.ok(
            readings(marked(raster, mark), word, task.dataset === "sums" ? 2 : 1) > 0,
            `${task.id}: ${word}`,
          );
      }
    }
  });

  it("are of the colour that they give", () => {
    for (const task of drawTasks(scenes, { count: 40, split: "heldout" })) {
      const raster = rasterOf(task);
      for (const mark of raster.annotations!) {
        const [, colour] = mark.words as [string, keyof typeof COLOURS];
        const part = marked(raster, mark);
        assert.ok(count(part, COLOURS[colour]) > 0.1 * part.width * part.height, `${task.id}: ${mark.words}`);
      }
    }
  });
});

describe("charts", () => {
  const tasks = drawTasks(charts, { count: 150, split: "heldout", size: 64, types: ["value"] });
  it("have bars as high as their values", () => {
    for (const { annotation, ...task } of tasks.filter((t) => t.annotation.kind === "bar")) {
      const raster = rasterOf({ ...task, annotation });
      const heights = annotation.names.map((name) => {
        const colour = COLOURS[name as keyof typeof COLOURS];
        const rows = Array.from({ length: 63 }, (_, y) => y).filter(
          (y) =>
            Array.from({ length: 64 }, (_, x) => same(at(raster, x, y), colour)).filter(Boolean).length > 4,
        );
        return rows.length;
      });
      // The room for bars is 56 pixels for a value of 9; a pixel is lost to rounding.
      annotation.values.forEach((value, i) => {
        assert.ok(Math.abs(heights[i] - (56 * value) / 9) <= 1, `${value} is ${heights[i]} pixels high`);
      });
    }
  });
  it("have slices as large as their values", () => {
    for (const { annotation, ...task } of tasks.filter((t) => t.annotation.kind === "pie")) {
      const raster = rasterOf({ ...task, annotation });
      const areas = annotation.names.map((name) => count(raster, COLOURS[name as keyof typeof COLOURS]));
      const [area, total] = [areas, annotation.values].map((list) => list.reduce((a, b) => a + b));
      // Edges and the numbers' own dots are no part of what is counted.
      annotation.values.forEach((value, i) => {
        assert.ok(Math.abs(areas[i] / area - value / total) < 0.02, `${value}/${total}`);
      });
    }
  });
  it("have their numbers written on them", () => {
    for (const task of tasks) {
      for (const value of task.annotation.values)
        assert.ok(readings(rasterOf(task), String(value), 1) >= 1, JSON.stringify(task.annotation));
    }
  });
});

describe("text in images", () => {
  it("fits the room that the layouts give it", () => {
    const rooms: [words: readonly string[], dots: number][] = [
      [NAMES, 22],
      [CITIES, 22],
      [JOBS, 22],
      [MONTHS, 22],
      [GOODS, 27],
      [SIGNS, 21],
    ];
    for (const [words, dots] of rooms) {
      assert.equal(new Set(words).size, words.length);
      for (const word of words) {
        assert.ok(textWidth(word) <= dots, `${word} is ${textWidth(word)} dots wide`);
        for (const letter of word) assert.ok(DRAWABLE.includes(letter.toUpperCase()));
      }
    }
  });
  for (const [size, scale] of [
    [48, 1],
    [100, 2],
  ]) {
    it(`is whole at ${size} pixels: documents`, () => {
      for (const task of drawTasks(documents, { count: 60, split: "heldout", size })) {
        for (const [, value] of task.annotation.fields)
          assert.ok(
            readings(rasterOf(task), value, scale) >= 1,
            `${value} of ${JSON.stringify(task.annotation)}`,
          );
      }
    });
    it(`is whole at ${size} pixels: signs`, () => {
      for (const task of drawTasks(sceneText, { count: 40, split: "heldout", size })) {
        for (const { word, kind } of task.annotation.carriers)
          assert.ok(readings(rasterOf(task), word, scale) >= 1, `${word} on a ${kind}`);
      }
    });
  }
  it("is whole on boards", () => {
    for (const task of drawTasks(sums, { count: 60, split: "heldout", size: 32 })) {
      const { left, operation, right } = task.annotation;
      assert.equal(readings(rasterOf(task), `${left}${operation}${right}=`, 1), 1);
    }
  });
  it("refuses what it cannot draw", () => {
    assert.throws(() => write(blank(9, 9, [0, 0, 0]), "é", [0, 0], [1, 1, 1]), /has no "é"/);
  });
});

describe("hands", () => {
  it("show as many dots and stripes as are counted", () => {
    for (const task of drawTasks(hands, {
      count: 100,
      split: "heldout",
      size: 64,
      types: ["dots", "stripes"],
    })) {
      const raster = rasterOf(task);
      const background = at(raster, 0, 0);
      const things = blank(64, 64, [0, 0, 0]);
      raster.data.forEach((level, i) => {
        if (level !== background[i % 3]) things.data.fill(255, i - (i % 3), i - (i % 3) + 3);
      });
      assert.equal(patches(things, [255, 255, 255]), task.annotation.count, JSON.stringify(task.annotation));
    }
  });
  it("show as many fingers as are counted", () => {
    for (const task of drawTasks(hands, {
      count: 80,
      split: "heldout",
      size: 64,
      types: ["fingers", "six"],
    })) {
      const raster = rasterOf(task);
      const background = at(raster, 0, 0);
      // The most separate runs of skin in a row of the upper half: there the thumb stands apart too.
      const runs = Array.from({ length: 34 }, (_, y) => {
        const skin = Array.from({ length: 64 }, (_, x) => !same(at(raster, x, y), background));
        return skin.filter((on, x) => on && !skin[x - 1]).length;
      });
      assert.equal(Math.max(...runs), task.annotation.count, JSON.stringify(task.annotation));
    }
  });
});

describe("painting", () => {
  it("covers pixels by share, in sixteenths", () => {
    const raster = blank(3, 1, [0, 0, 0]);
    paint(raster, box(0.5, 0, 1, 1), [160, 80, 0]);
    assert.deepEqual([...raster.data], [80, 40, 0, 80, 40, 0, 0, 0, 0]);
    paint(raster, box(2, 0, 1, 1), [100, 100, 100], 0.25);
    assert.deepEqual(at(raster, 2, 0), [25, 25, 25]);
  });
  it("keeps to the image", () => {
    const raster = blank(2, 2, [9, 9, 9]);
    paint(raster, disc(1, 1, 50), [1, 2, 3]);
    assert.deepEqual([...raster.data], [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });
});

describe("encodePng", () => {
  it("is read back by another decoder, pixel for pixel", async () => {
    for (const synthetic of Object.values(SYNTHETIC_TASKS)) {
      const raster = rasterOf(drawTasks(synthetic, { count: 1, split: "train", size: 51 })[0]);
      const image = await loadImage(Buffer.from(encodePng(raster)));
      const context = createCanvas(51, 51).getContext("2d");
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, 51, 51);
      assert.deepEqual(Uint8Array.from(data.filter((_, i) => i % 4 !== 3)), raster.data, synthetic.name);
    }
  });
});

describe("flags", () => {
  it("can be told apart: the nearest two differ in half a hundredth of their values or more", () => {
    const scene = { width: 96, x: 0, y: 0, background: 0 };
    const seen = Object.keys(COUNTRIES).map(
      (country) => [country, flags.render({ ...scene, country }, 96).data.subarray(0, 61 * 96 * 3)] as const,
    );
    const differing = (a: Uint8Array, b: Uint8Array): number => {
      let n = 0;
      for (let i = 0; i < a.length; i++) if (Math.abs(a[i] - b[i]) > 60) n++;
      return n / a.length;
    };
    for (const [i, [country, flag]] of seen.entries())
      for (const [other, flag2] of seen.slice(0, i))
        assert.ok(differing(flag, flag2) > 0.005, `${country} and ${other}: ${differing(flag, flag2)}`);
  });

  it("never asks in training for the capital beside a flag of which words alone tell it", () => {
    const told = new Set(countriesOf("heldout", "told"));
    const shown = countriesOf("train", "capital");
    assert.ok(told.size > 20);
    assert.deepEqual(
      shown.filter((country) => told.has(country)),
      [],
    );
  });
});

const countriesOf = (split: "train" | "heldout", type: string): string[] =>
  drawTasks(flags, { split, types: [type], count: 400, seed: 3 }).map(({ annotation }) => annotation.country);
