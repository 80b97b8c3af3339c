/** Resources that a task requests from Slurm: from the command line, else from the notebook's metadata. */
import { parseBytes } from "../../../lib/bytes.js";
import { didYouMean, ModalscopeError } from "../../../lib/errors.js";
import { isObject, type Notebook } from "../../../lib/notebook/index.js";

export interface SlurmResources {
  /** Longest time of a run, as Slurm writes it: minutes, `hours:minutes:seconds`, `days-hours`. */
  time?: string;
  /** Memory of a run, such as "8GB" or "8GiB". */
  mem?: string;
  /** Cores of a run. */
  cpus?: number;
  /** Other resources, such as "gpu:1". */
  gres?: string;
  partition?: string;
  /** Tasks that run at a time. */
  arrayLimit?: number;
  /** Any other options of sbatch, such as "--account=physics". */
  sbatch?: readonly string[];
}

const texts = ["time", "mem", "gres", "partition"] as const;
const counts = ["cpus", "arrayLimit"] as const;

/**
 * The resources that a notebook asks for in `metadata.modalscope.slurm`.
 * @throws ModalscopeError when an entry is unknown or of a wrong type.
 */
export function notebookResources({ metadata }: Notebook): SlurmResources {
  const { modalscope } = metadata;
  const asked = isObject(modalscope) ? modalscope.slurm : undefined;
  if (asked === undefined) return {};
  if (!isObject(asked)) throw wrong("is not an object");
  const names = [...texts, ...counts, "sbatch"];
  for (const [name, value] of Object.entries(asked)) {
    if (!names.includes(name)) throw wrong(`has an unknown entry "${name}"`, didYouMean(name, names));
    if (name === "sbatch") {
      if (!Array.isArray(value) || !value.every((one) => typeof one === "string"))
        throw wrong('has an entry "sbatch" that is not a list of texts');
    } else if ((counts as readonly string[]).includes(name)) {
      if (!Number.isSafeInteger(value) || (value as number) < 1)
        throw wrong(`has an entry "${name}" that is not a whole number from 1 on`);
    } else if (typeof value !== "string" && typeof value !== "number")
      throw wrong(`has an entry "${name}" that is not text`);
  }
  const given = Object.entries(asked).map(([name, value]) => [
    name,
    (texts as readonly string[]).includes(name) ? String(value) : value,
  ]);
  return Object.fromEntries(given) as SlurmResources;
}

function wrong(problem: string, hint = ""): ModalscopeError {
  return new ModalscopeError(`The notebook's metadata.modalscope.slurm ${problem}.`, "", hint);
}

/**
 * The lines of a script that ask for the resources.
 * @throws ModalscopeError when a value cannot stand on a line.
 */
export function resourceDirectives(resources: SlurmResources): string[] {
  const { time, mem, cpus, gres, partition, sbatch = [] } = resources;
  const options = [
    ...(time === undefined ? [] : [`--time=${time}`]),
    // Slurm's own units are binary; its K is 1024 bytes.
    ...(mem === undefined ? [] : [`--mem=${Math.ceil(parseBytes(mem) / 1024)}K`]),
    ...(cpus === undefined ? [] : [`--cpus-per-task=${cpus}`]),
    ...(gres === undefined ? [] : [`--gres=${gres}`]),
    ...(partition === undefined ? [] : [`--partition=${partition}`]),
    ...sbatch.map((option) => (option.startsWith("-") ? option : `--${option}`)),
  ];
  for (const option of options) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a line end would begin another line of the script
    if (/[\u0000-\u001f\u007f]/.test(option))
      throw new ModalscopeError(
        `${JSON.stringify(option)} cannot be an option of sbatch.`,
        "It has a control character.",
      );
  }
  return options.map((option) => `#SBATCH ${directiveWord(option)}`);
}

/** An option as one word of a #SBATCH line. */
function directiveWord(option: string): string {
  const [, name, value] = /^(--?[\w-]+=?)(.*)$/s.exec(option) ?? ["", "", option];
  return /[\s"'\\#]/.test(value) ? `${name}"${value.replace(/["\\]/g, "\\$&")}"` : option;
}
