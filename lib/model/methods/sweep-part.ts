import type { OptionCheck } from "../../options.js";

/** [index, count]: the points whose number leaves `index` when divided by `count`; `index` from 0 on. */
export type Part = readonly [index: number, count: number];

export const WHOLE: Part = [0, 1];

/** Whether the point of that number is in the part. Neighbours fall to different parts, so that all take as long. */
export const isIn = ([index, count]: Part, point: number): boolean => point % count === index;

export const isPart = (value: unknown): value is Part =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every(Number.isInteger) &&
  0 <= value[0] &&
  value[0] < value[1];

/** Check of an option that is a part. */
export const part: OptionCheck = (value) =>
  value === undefined || isPart(value) ? undefined : "[index, count] with an index from 0 to count − 1";
