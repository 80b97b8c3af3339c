/** The array script of a grid. It can be read, kept, changed and submitted by hand. */
import { resourceDirectives, type SlurmResources } from "./resources.js";

export interface ArrayScript {
  /** Shown by squeue. */
  name: string;
  /** The combinations to be run, ascending. */
  indices: readonly number[];
  resources: SlurmResources;
  /** Folder of the logs, which are named by array and task. */
  logs: string;
  /** Folder in which the command is run. */
  cwd: string;
  /** The command of one task and its arguments; it finds its combination by SLURM_ARRAY_TASK_ID. */
  command: readonly string[];
}

/** @throws ModalscopeError when an option of sbatch cannot stand on a line. */
export function arrayScript({ name, indices, resources, logs, cwd, command }: ArrayScript): string {
  const limit = resources.arrayLimit === undefined ? "" : `%${resources.arrayLimit}`;
  return `#!/bin/bash
# One task for each combination of a grid; written by modalscope.
#SBATCH --job-name=${name.replace(/[^\w.-]+/g, "_")}
#SBATCH --array=${indexRanges(indices)}${limit}
#SBATCH --output=${logs.replaceAll("%", "%%")}/%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
${resourceDirectives(resources)
  .map((line) => `${line}\n`)
  .join("")}
cd ${quoted(cwd)} || exit
# exec: Slurm's signals reach the run, which saves what there is. A task that is run again goes on from there.
exec ${command.map(quoted).join(" ")}
`;
}

/** Ascending numbers as Slurm writes them: `0-3,5`. */
export function indexRanges(indices: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const index of indices) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === index - 1) range[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}

/** A word of a shell's command. */
function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
