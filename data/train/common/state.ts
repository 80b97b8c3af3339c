/** Saved state from which an interrupted training goes on: one file, replaced as a whole. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { ModalscopeError } from "../../../lib/errors.js";
import { makeFolder } from "../../../lib/folder.js";
import {
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from "../../../lib/model/checkpoint/index.js";
import type { AdamState, Weights } from "../../../lib/model/training/index.js";
import type { Tensor } from "../../../lib/tensor.js";

export interface TrainingState {
  /** The stage that is being trained; the number of stages when all are done. */
  readonly stage: number;
  readonly curves: Curves;
  readonly weights: Weights;
  readonly optimizer: AdamState;
}

/** A training's course, as `training.json` keeps it. */
export interface Curves {
  readonly seed: number;
  readonly parameters: number;
  readonly stages: StageCurve[];
}

export interface StageCurve {
  readonly name: string;
  readonly steps: number;
  readonly rows: number;
  readonly rate: number;
  seconds: number;
  /** Mean loss of each 20 steps, nats per predicted token, by the step after them. */
  readonly loss: [step: number, loss: number][];
}

/** All that decides a training's course, as JSON: a state fits no other. */
export type Plan = Readonly<Record<string, unknown>>;

interface Progress {
  readonly stage: number;
  readonly step: number;
  readonly curves: Curves;
  readonly plan: Plan;
}

const PARTS = ["weights", "first", "second"] as const;

const fileIn = (work: string): string => join(work, "state.safetensors");

/**
 * Writes all that going on needs. The file of before is there until the new one is whole.
 * @throws ModalscopeError when it cannot be written, as on a full disk
 */
export function saveState(
  work: string,
  plan: Plan,
  { stage, curves, weights, optimizer }: TrainingState,
): void {
  makeFolder(work);
  const parts = {
    weights: new Map([...weights].map(([name, { data }]) => [name, data])),
    first: optimizer.first,
    second: optimizer.second,
  };
  const tensors: Record<string, Tensor> = {};
  for (const part of PARTS)
    for (const [name, data] of parts[part])
      tensors[`${part}/${name}`] = { data, shape: weights.get(name)!.shape };
  const progress: Progress = { stage, step: optimizer.step, curves, plan };
  writeSafetensors(fileIn(work), tensors, { progress: JSON.stringify(progress) });
}

/**
 * Reads a state back, and clears away what killed saves left.
 * @throws ModalscopeError when it is of another plan
 */
export function loadState(work: string, plan: Plan): TrainingState | undefined {
  const file = fileIn(work);
  removeUnfinished(file);
  if (!existsSync(file)) return undefined;
  const {
    stage,
    step,
    curves,
    plan: earlier,
  } = JSON.parse(readSafetensorsHeader(file).metadata?.progress ?? "{}") as Progress;
  const difference = differenceOf(earlier, JSON.parse(JSON.stringify(plan)), "");
  if (difference !== undefined) {
    throw new ModalscopeError(
      `The training saved in ${work} is of another recipe.`,
      difference,
      "Take up the recipe of before, or give another folder with --work.",
    );
  }
  const tensors = [...readSafetensors(file)];
  const of = (part: string): [string, Tensor][] =>
    tensors.flatMap(([name, x]): [string, Tensor][] =>
      name.startsWith(`${part}/`) ? [[name.slice(part.length + 1), x]] : [],
    );
  const numbers = (part: string): Map<string, Float32Array> =>
    new Map(of(part).map(([name, { data }]) => [name, data as Float32Array]));
  const optimizer = { step, first: numbers("first"), second: numbers("second") };
  return { stage, curves, weights: new Map(of("weights")), optimizer };
}

function removeUnfinished(file: string): void {
  if (!existsSync(dirname(file))) return;
  for (const name of readdirSync(dirname(file)))
    if (name.startsWith(`${basename(file)}.`) && name.endsWith(".tmp")) rmSync(join(dirname(file), name));
}

/** First difference between two JSON values, in words. */
function differenceOf(before: unknown, now: unknown, path: string): string | undefined {
  if (isDeepStrictEqual(before, now)) return undefined;
  if (!isObject(before) || !isObject(now))
    return `${path || "The plan"} was ${JSON.stringify(before)} and is ${JSON.stringify(now)} now.`;
  for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
    const found = differenceOf(before[key], now[key], path ? `${path}.${key}` : key);
    if (found !== undefined) return found;
  }
  return undefined;
}

const isObject = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null;
