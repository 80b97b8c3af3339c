/** What studies took before: in the output folder by their last run, else in times.json beside the notebooks. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { ModalscopeError } from "../../lib/errors.js";
import { machineText } from "../../lib/machine.js";
import { isObject, readNotebook } from "../../lib/notebook/index.js";
import { own } from "../../lib/own.js";
import { replaceFile } from "../../lib/replace-file.js";
import { type EarlierRun, earlierRun } from "../runner/grid/forecast.js";
import { openNotebookIfThere } from "../runner/notebook/open.js";

export interface KnownTime {
  run: EarlierRun;
  /** Where it is from, for people. */
  source: string;
}

/** A notebook's entry in times.json: what a run took, and where. */
interface SavedTime extends EarlierRun {
  machine: string;
}

/** What is known of each notebook; undefined where nothing is. */
export async function knownTimes(
  inputs: readonly string[],
  folder: string,
  notebooks: string,
): Promise<(KnownTime | undefined)[]> {
  const saved = readTimes(notebooks);
  return Promise.all(
    inputs.map(async (input) => {
      const name = basename(input);
      const run = await lastRun(join(folder, name));
      if (run !== undefined)
        return { run, source: `the last run in ${relative(process.cwd(), folder) || "this folder"}` };
      const entry = own(saved, name);
      return entry === undefined ? undefined : { run: entry, source: `times.json (${entry.machine})` };
    }),
  );
}

async function lastRun(output: string): Promise<EarlierRun | undefined> {
  try {
    const last = await openNotebookIfThere(output);
    return last === undefined ? undefined : earlierRun(last);
  } catch (error) {
    // A file that is no notebook says nothing of times; the run tells whether it can be replaced.
    if (error instanceof ModalscopeError) return undefined;
    throw error;
  }
}

/** Puts what completed runs took into times.json, beside what it has of other notebooks. */
export function saveTimes(notebooks: string, outputs: readonly string[]): void {
  const machine = machineText();
  const taken = outputs.flatMap((output): [string, SavedTime][] => {
    const run = earlierRun(readNotebook(output));
    return run === undefined ? [] : [[basename(output), { machine, ...rounded(run) }]];
  });
  const all = Object.entries({ ...readTimes(notebooks), ...Object.fromEntries(taken) }).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  replaceFile(timesPath(notebooks), [`${JSON.stringify(Object.fromEntries(all), null, 2)}\n`]);
}

const timesPath = (notebooks: string): string => join(notebooks, "times.json");

function readTimes(notebooks: string): Record<string, SavedTime> {
  const path = timesPath(notebooks);
  if (!existsSync(path)) return {};
  const times = parseTimes(readFileSync(path, "utf8"));
  if (times !== undefined) return times;
  throw new ModalscopeError(
    `${path} is not what modalscope studies --save-times writes.`,
    "Each notebook has a machine, seconds, and the seconds of its cells there.",
    "Remove it, and write it anew with --save-times.",
  );
}

function parseTimes(text: string): Record<string, SavedTime> | undefined {
  try {
    const times: unknown = JSON.parse(text);
    return isObject(times) && Object.values(times).every(isTime)
      ? (times as Record<string, SavedTime>)
      : undefined;
  } catch {
    return undefined;
  }
}

function isTime(one: unknown): boolean {
  if (!isObject(one) || typeof one.machine !== "string" || !isObject(one.cells)) return false;
  return [one.seconds, ...Object.values(one.cells)].every((seconds) => typeof seconds === "number");
}

function rounded({ seconds, cells }: EarlierRun): EarlierRun {
  const round = (value: number): number => Math.round(value * 100) / 100;
  return {
    seconds: round(seconds),
    cells: Object.fromEntries(Object.entries(cells).map(([id, value]) => [id, round(value)])),
  };
}
