/** Grids in folders that every node could see, and looks at Slurm and at what the grids left. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { tailOf } from "../../kernels/runner/slurm/verdict.js";
import type { Notebook } from "../../lib/notebook/index.js";
import { notebookOf, textOf } from "../kernels/runner/support.js";

export const root: string = mkdtempSync(join(tmpdir(), "modalscope-slurm-"));
export const log = (text: string): void => console.log(`- ${text}`);
export const tasks: readonly number[] = Array.from({ length: 8 }, (_, i) => i);
export const grid: readonly string[] = ["run", "g.ipynb", "out", "--grid", "grid.yaml"];
export const onSlurm: readonly string[] = [...grid, "--engine", "slurm"];

/**
 * The cell of each point, for as long as the file `calm` is not there; with `hold` each waits until it is gone. Point 3
 * takes no memory before it is saved.
 */
const cell = `import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
console.log("point", point);
while (existsSync("hold")) await wait(100);
const calm = existsSync("calm");
if (!calm && (point === 1 || point === 2)) throw new Error("bad point " + point);
const kept: Buffer[] = [];
const isSaved = () => readFileSync("out/g-point=3.ipynb", "utf8").includes("point " + point);
while (!calm && point === 3 && !isSaved()) await wait(50);
while (!calm && point === 3) { kept.push(Buffer.alloc(2e7, 1)); await wait(50); }
if (!calm && point === 4) await wait(3_600_000);
const seen = existsSync("seen");
writeFileSync("seen", "");
if (!calm && point === 5 && !seen) await wait(3_600_000);
point * point`;

/** A folder with the notebook and a grid of these points; two at least, by which the outputs are named. */
export function prepare(name: string, points: readonly number[] = tasks): string {
  const folder = join(root, name);
  mkdirSync(folder);
  const notebook = notebookOf([
    { source: "let point = 0;", tags: ["parameters"] },
    cell.replaceAll('"seen"', '"seen-" + point'),
  ]);
  notebook.metadata.modalscope = { slurm: { time: "10", mem: "1GB" } };
  writeFileSync(join(folder, "g.ipynb"), JSON.stringify(notebook));
  writeFileSync(join(folder, "grid.yaml"), `point: [${points.join(", ")}]\n`);
  return folder;
}

const jobPath = (folder: string): string => join(folder, "out", "slurm", "job.json");

/** Whether a grid of this folder was submitted; its number is known then. */
export const isSubmitted = (folder: string) => (): boolean => existsSync(jobPath(folder));

export const jobOf = (folder: string): string =>
  (JSON.parse(readFileSync(jobPath(folder), "utf8")) as { job: string }).job;

/** Whether a point's notebook holds the text, in an output. */
export const says = (folder: string, point: number, text: string) => (): boolean =>
  existsSync(notebookPath(folder, point)) &&
  load(folder, point).cells.some((one) => textOf(one).includes(text));

const notebookPath = (folder: string, point: number): string => join(folder, "out", `g-point=${point}.ipynb`);

export function load(folder: string, point: number): Notebook {
  return JSON.parse(readFileSync(notebookPath(folder, point), "utf8")) as Notebook;
}

export const recorded = (folder: string, point: number): unknown =>
  load(folder, point).metadata.papermill?.status;

/** What the table and the notebook of a point say: status and reason in the one, status in the other. */
export function told(folder: string, point: number): { status: string; reason: string; recorded: unknown } {
  const row = rowsOf(folder).find(([one]) => one === String(point)) ?? [];
  return { status: row[1], reason: row.slice(3).join(","), recorded: recorded(folder, point) };
}

export function rowsOf(folder: string): string[][] {
  const [, ...lines] = readFileSync(join(folder, "out", "summary.csv"), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => line.split(","));
}

export const slurm = (name: string, ...args: string[]): string =>
  execFileSync(name, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** A line for each task of a job that has not ended: its index, its state and its own number. */
export const states = (job: string): string => slurm("squeue", "-h", "-r", "-j", job, "-o", "%K %T %A");

/** Whether this task of a folder's own grid runs. */
export const isRunning =
  (folder: string, index: number | string = "\\d+") =>
  (): boolean =>
    isSubmitted(folder)() && new RegExp(`^${index} RUNNING `, "m").test(states(jobOf(folder)));

/**
 * Waits until a test holds. A test that throws does not hold yet: a busy controller does not answer, a file is not
 * there. What it threw last is told when the time is over.
 */
export async function until(what: string, test: () => boolean): Promise<void> {
  const end = Date.now() + 180_000;
  let trouble = "";
  for (;;) {
    try {
      if (test()) return;
      trouble = "";
    } catch (error) {
      trouble = `: ${(error as Error).message}`;
    }
    assert.ok(Date.now() < end, `waited three minutes for ${what}${trouble}`);
    await delay(500);
  }
}

/** Waits for what a command that runs brings about; when the command ends first, its words are the failure. */
export async function during(
  run: Promise<{ code: number | null; stderr: string }>,
  what: string,
  test: () => boolean,
): Promise<void> {
  const early = run.then(({ code, stderr }) => {
    if (!test()) throw new Error(`The command ended with ${code} before ${what}:\n${stderr}`);
  });
  await Promise.race([until(what, test), early]);
}

/** Prints the last of all logs that the tasks left. */
export function printLogs(): void {
  for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (dirname(name).endsWith("logs")) console.log(`== ${name}\n${tailOf(join(root, name))}`);
  }
}
