/** Options of `modalscope run`. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseBytes } from "../../lib/bytes.js";
import { ModalscopeError } from "../../lib/errors.js";
import { localCopy } from "../../lib/storage/index.js";
import { type Parameters, parseParameters, parseValue, readParameters } from "../runner/parameters/values.js";

export interface RunFlags {
  parameters?: [string, string][];
  parameters_raw?: [string, string][];
  parameters_file?: string[];
  parameters_yaml?: string[];
  parameters_base64?: string[];
  kernel?: string;
  cwd?: string;
  prepareOnly?: boolean;
  reportMode?: boolean;
  resume?: boolean;
  startTimeout: number;
  executionTimeout: number;
  notebookTimeout: number;
  autosaveCellEvery?: number;
  maxOutput?: number;
  helpNotebook?: boolean;
  inspect?: boolean;
  logOutput?: boolean;
  stdoutFile?: string;
  stderrFile?: string;
  progressBar: boolean;
  grid?: string;
  maxCores?: number;
  coresPerRun: number;
  maxMemory?: number;
  summary?: string;
  list?: boolean;
  only?: string;
  gather?: boolean;
  engine?: "local" | "slurm";
  attach?: boolean;
  detach?: boolean;
  cancelOnInterrupt?: boolean;
  time?: string;
  mem?: string;
  cpus?: number;
  gres?: string;
  partition?: string;
  arrayLimit?: number;
  sbatch?: string[];
  force?: boolean;
}

/** Options of everything that runs several notebooks at a time. */
export type SideBySideFlags = Pick<RunFlags, "maxCores" | "coresPerRun" | "maxMemory" | "progressBar">;

export function addSideBySideOptions(command: Command): Command {
  return command
    .option("--max-cores <count>", "cores for all runs together (default: all)", count)
    .option("--cores-per-run <count>", "cores for each run", count, 1)
    .option(
      "--max-memory <size>",
      "memory for all runs together, such as 8GB (10⁹) or 8GiB (2³⁰) (default: 80 % of what is free)",
      bytes,
    );
}

export const noProgressBar = ["--no-progress-bar", "do not report progress"] as const;

export function addRunOptions(command: Command): Command {
  const all = (value: string, previous: string[] = []): string[] => [...previous, value];
  const pairs = (value: string, previous: [string, string][] = []): [string, string][] => [
    ...previous,
    pair(value),
  ];
  command
    .optionsGroup("Parameters (later options override earlier ones):")
    .option("-b, --parameters_base64 <text>", "parameters as YAML in base64", all)
    .option("-f, --parameters_file <path>", "parameters from a YAML or JSON file", all)
    .option("-y, --parameters_yaml <text>", "parameters as YAML", all)
    .option("-p, --parameters <name value>", "a parameter; numbers, true, false and null are parsed", pairs)
    .option("-r, --parameters_raw <name value>", "a parameter that is always text", pairs)
    .option("--help-notebook", "list the notebook's parameters")
    .option("--inspect", "list the notebook's parameters as JSON")
    .optionsGroup("The run:")
    .option("-k, --kernel <name>", "kernel to use instead of the notebook's")
    .option("--cwd <folder>", "working folder of the cells (default: the notebook's)")
    .option("--start-timeout <seconds>", "limit for the kernel to start", seconds, 60)
    .option("--execution-timeout <seconds>", "limit for each cell; 0 means none", seconds, 0)
    .option("--notebook-timeout <seconds>", "limit for the whole run; 0 means none", seconds, 0)
    .option("--resume", "continue the earlier run in the output")
    .option("--prepare-only", "inject the parameters and save, without running")
    .optionsGroup("Output:")
    .option("--report-mode", "hide the cells' code in the output")
    .option(
      "--autosave-cell-every <seconds>",
      "interval of saves while a cell runs; 0 means never (default: 3, 30 to a URL)",
      seconds,
    )
    .option("--max-output <size>", "limit for one cell's outputs (default: 100MB)", bytes)
    .option("--log-output", "print the cells' output on stderr")
    .option("--stdout-file <path>", "also write the cells' stdout to a file")
    .option("--stderr-file <path>", "also write the cells' stderr to a file")
    .option(...noProgressBar)
    .optionsGroup("Many runs:")
    .option(
      "--grid <path>",
      "run all combinations of the lists in a YAML file; the output is a folder or a template",
    );
  return addSideBySideOptions(command)
    .option("--summary <path>", "path of the table of runs (default: summary.csv beside the outputs)")
    .option("--force", "run everything again, also what was completed earlier")
    .option("--list", "print the combinations as JSON, with their outputs and how far they are; run nothing")
    .option(
      "--only <index>",
      "run one combination, by its number from 0; auto: the number of this array task",
    )
    .option("--gather", "write the table from what is there; run nothing")
    .optionsGroup("Many runs on a cluster:")
    .addOption(new Option("--engine <name>", "where the grid runs").choices(["local", "slurm"]))
    .option("--time <limit>", "time for each run, as Slurm writes it, such as 2:00:00")
    .option("--mem <size>", "memory for each, such as 8GB", size)
    .option("--cpus <count>", "cores for each", count)
    .option("--gres <list>", "other resources for each, such as gpu:1")
    .option("--partition <name>", "the partition")
    .option("--array-limit <count>", "so many at a time", count)
    .option("--sbatch <option>", "any other option of sbatch, such as --account=physics", all)
    .option("--attach", "follow the job that an earlier call has submitted")
    .option("--detach", "submit and do not wait")
    .option(
      "--cancel-on-interrupt",
      "Ctrl-C cancels the job, too; otherwise it goes on without this command",
    );
}

const between = "\0";
/** `name=value` in one argument is accepted too: no name has an equals sign. */
const assignment = /^([\p{L}_$][\p{L}\p{N}_$]*)=(.*)$/su;

/**
 * `-p name value` takes two arguments, as papermill's does, which commander cannot express: this joins the two
 * into one, before it reads them. `-p name=value` is one already.
 */
export function joinPairs(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    joined.push(argv[i]);
    const takesPair = /^(-p|-r|--parameters|--parameters_raw)$/.test(argv[i]);
    if (takesPair && i + 2 < argv.length && !assignment.test(argv[i + 1])) {
      joined.push(`${argv[i + 1]}${between}${argv[i + 2]}`);
      i += 2;
    }
  }
  return joined;
}

function pair(text: string): [string, string] {
  const at = text.indexOf(between);
  if (at !== -1) return [text.slice(0, at), text.slice(at + 1)];
  const assigned = assignment.exec(text);
  if (assigned === null) throw new InvalidArgumentError("Write a name and a value after it: -p name value.");
  return [assigned[1], assigned[2]];
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("Write a number of seconds.");
  return value;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("Write a whole number from 1 on.");
  return value;
}

/** Checked here, read where it is used. */
function size(text: string): string {
  bytes(text);
  return text;
}

function bytes(text: string): number {
  try {
    return parseBytes(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** @throws ModalscopeError for other characters, which would be skipped in silence */
function fromBase64(text: string): string {
  const bare = text.replace(/\s/g, "");
  if (/^[A-Za-z0-9+/_-]*={0,2}$/.test(bare)) return Buffer.from(bare, "base64").toString("utf8");
  throw new ModalscopeError(
    "Cannot read the parameters in --parameters_base64.",
    "They are no base64.",
    "Give YAML as it is with -y.",
  );
}

/** Parameters of all options; later sources override: base64, files, YAML, `-p`, `-r`. */
export async function givenParameters(flags: RunFlags): Promise<Parameters> {
  const {
    parameters_base64: base64 = [],
    parameters_file: files = [],
    parameters_yaml: yaml = [],
    parameters: pairs = [],
    parameters_raw: raw = [],
  } = flags;
  const decoded = base64.map(fromBase64);
  const sources: Parameters[] = [
    ...decoded.map((text) => parseParameters(text, "--parameters_base64")),
    ...(await Promise.all(files.map(async (path) => readParameters(await localCopy(path))))),
    ...yaml.map((text) => parseParameters(text, "--parameters_yaml")),
  ];
  // From entries, so that no name is taken for an object's own machinery.
  return Object.fromEntries([
    ...sources.flatMap((source) => Object.entries(source)),
    ...pairs.map(([name, value]) => [name, parseValue(value)] as const),
    ...raw,
  ]);
}
