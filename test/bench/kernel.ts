/**
 * `npm run bench:kernel -- --python PYTHON`: this kernel beside tslab, ipykernel and papermill, in turns, in one run.
 * The Python must have ipykernel and papermill; without one those are left out.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { loadavg, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { type KernelSpec, startJupyterKernel } from "../../kernels/runner/kernels/jupyter-kernel.js";
import { languageInfo } from "../../kernels/typescript/index.js";
import { median } from "./beside.js";

interface Options {
  readonly python?: string;
  readonly rounds: string;
}

const distribution = fileURLToPath(new URL("../../", import.meta.url));
const tslab = join(dirname(createRequire(import.meta.url).resolve("tslab")), "../bin/tslab");

/** The command of each kernel, and a cell that declares a name and shows a value. */
interface Peer {
  readonly spec: KernelSpec;
  cell(number: number): string;
}

const typescriptCell = (n: number): string => `const v${n} = ${n} * 2;\nv${n} + 1`;

function peers(python: string | undefined): Record<string, Peer> {
  const node = (script: string, ...args: string[]): KernelSpec => ({
    argv: [process.execPath, script, ...args],
    interrupt_mode: "message",
  });
  const ours = node(join(distribution, "kernels/typescript/main.js"), "{connection_file}");
  const found: Record<string, Peer> = {
    modalscope: { spec: ours, cell: typescriptCell },
    tslab: { spec: node(tslab, "kernel", "--config-path={connection_file}"), cell: typescriptCell },
  };
  if (python !== undefined) {
    const argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"];
    found.ipykernel = { spec: { argv }, cell: (n) => `v${n} = ${n} * 2\nv${n} + 1` };
  }
  return found;
}

interface Times {
  /** To the first reply. */
  start: number[];
  /** To the first cell's reply, from the start. */
  firstCell: number[];
  /** A small cell, right after the start. */
  early: number[];
  /** A small cell, once the kernel has been idle for a while. */
  cell: number[];
}

const cellsOfEach = 20;
const pauseMs = 4000;

async function time(peer: Peer, cwd: string, times: Times): Promise<void> {
  const begin = performance.now();
  const kernel = await startJupyterKernel(peer.spec, { cwd });
  times.start.push(performance.now() - begin);
  let number = 0;
  const run = async (): Promise<number> => {
    const before = performance.now();
    const { error } = await kernel.execute(peer.cell(++number), () => {});
    if (error !== undefined) throw new Error(`${error.ename}: ${error.evalue}`);
    return performance.now() - before;
  };
  await run();
  times.firstCell.push(performance.now() - begin);
  for (let i = 0; i < cellsOfEach; i++) times.early.push(await run());
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  for (let i = 0; i < cellsOfEach; i++) times.cell.push(await run());
  await kernel.close();
}

/** A notebook of 50 small cells, run by a command; the seconds it took, its own start included. */
function headless(folder: string, kernel: "modalscope" | "python3", command: readonly string[]): number {
  const language = kernel === "modalscope" ? languageInfo : { name: "python" };
  const cell = (n: number): string =>
    kernel === "modalscope"
      ? `const x${n} = ${n} * 2;\nconsole.log(x${n});`
      : `x${n} = ${n} * 2\nprint(x${n})`;
  const cells = Array.from({ length: 50 }, (_, n) => ({
    cell_type: "code",
    id: `cell-${n}`,
    source: cell(n),
    metadata: {},
    outputs: [],
    execution_count: null,
  }));
  const metadata = {
    kernelspec: { name: kernel, display_name: kernel, language: language.name },
    language_info: language,
  };
  const input = join(folder, `${kernel}.ipynb`);
  writeFileSync(input, JSON.stringify({ cells, metadata, nbformat: 4, nbformat_minor: 5 }));
  const [program, ...args] = [...command, input, join(folder, "out.ipynb")];
  const begin = performance.now();
  const { status, stderr } = spawnSync(program, args, { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")} failed:\n${stderr}`);
  return performance.now() - begin;
}

/** A Python that is a path; kernels start in other folders. A bare name is looked up in PATH as it is. */
const pathOfPython = (python: string): string => (basename(python) === python ? python : resolve(python));

async function bench({ python: given, rounds }: Options): Promise<void> {
  const python = given && pathOfPython(given);
  const folder = mkdtempSync(join(tmpdir(), "modalscope-bench-"));
  const runners: Record<string, () => number> = {
    "modalscope run": () =>
      headless(folder, "modalscope", [process.execPath, join(distribution, "kernels/cli.js"), "run"]),
  };
  if (python !== undefined) {
    runners["papermill on ipykernel"] = () => headless(folder, "python3", [python, "-m", "papermill"]);
  }
  const kernels = peers(python);
  const times = Object.fromEntries(
    Object.keys(kernels).map((name) => [name, { start: [], firstCell: [], early: [], cell: [] } as Times]),
  );
  const notebook = Object.fromEntries(Object.keys(runners).map((name) => [name, [] as number[]]));
  try {
    for (let round = 0; round < Number(rounds); round++) {
      for (const [name, peer] of Object.entries(kernels)) await time(peer, distribution, times[name]);
      for (const [name, run] of Object.entries(runners)) notebook[name].push(run());
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const ms = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
  console.log(`Medians of ${rounds} rounds in ms, Node ${process.version}, load ${loadavg()[0].toFixed(1)}`);
  console.table(
    Object.fromEntries(
      Object.entries(times).map(([name, t]) => [
        name,
        {
          "start to reply": ms(median(t.start)),
          "to first cell's reply": ms(median(t.firstCell)),
          "cell, at once": ms(median(t.early)),
          "cell, later": ms(median(t.cell)),
        },
      ]),
    ),
  );
  console.table(
    Object.fromEntries(
      Object.entries(notebook).map(([name, all]) => [name, { "50 cells": ms(median(all)) }]),
    ),
  );
}

await new Command("bench:kernel")
  .description("Times this kernel and runner beside tslab, ipykernel and papermill.")
  .option("--python <python>", "a Python with ipykernel and papermill")
  .option("--rounds <n>", "how often each is timed", "5")
  .action(bench)
  .parseAsync();
