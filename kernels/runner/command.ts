import { Command, InvalidArgumentError } from "commander";
import { type RunResult, runNotebook } from "./index.js";
import { type Parameters, parseParameters, parseValue, readParameters } from "./parameters.js";
import { progressReporter } from "./progress.js";

interface RunFlags {
  parameters: [string, string][];
  parameters_raw: [string, string][];
  parameters_file: string[];
  parameters_yaml: string[];
  parameters_base64: string[];
  kernel?: string;
  cwd?: string;
  prepareOnly?: boolean;
  logOutput?: boolean;
  progressBar: boolean;
}

const exitCodes: Record<RunResult["status"], number> = {
  completed: 0,
  failed: 1,
  interrupted: 130,
  died: 138,
};

const exitCodesHelp = `
Exit codes: 0 completed, 1 failed, 2 wrong usage, 130 interrupted, 138 the kernel died.`;

export function runCommand(): Command {
  const all = (value: string, previous: string[]): string[] => [...previous, value];
  const pairs = (value: string, previous: [string, string][]): [string, string][] => [
    ...previous,
    pair(value),
  ];
  return new Command("run")
    .description("Runs a notebook without a client, in papermill's manner.")
    .argument("<input>", "the notebook, or - for standard input")
    .argument("<output>", "where the executed notebook goes, or - for standard output")
    .option(
      "-p, --parameters <name value>",
      "a parameter; numbers, true, false and null are read as such",
      pairs,
      [] as [string, string][],
    )
    .option(
      "-r, --parameters_raw <name value>",
      "a parameter that is text, whatever it looks like",
      pairs,
      [] as [string, string][],
    )
    .option("-f, --parameters_file <path>", "parameters from a YAML or JSON file", all, [] as string[])
    .option("-y, --parameters_yaml <text>", "parameters as YAML", all, [] as string[])
    .option("-b, --parameters_base64 <text>", "parameters as YAML in base64", all, [] as string[])
    .option("-k, --kernel <name>", "the kernel, whatever the notebook names")
    .option("--cwd <folder>", "the cells' working folder (default: the notebook's own)")
    .option("--prepare-only", "inject the parameters and save, without running")
    .option("--log-output", "print what the cells print, on stderr")
    .option("--no-progress-bar", "say nothing while it runs")
    .addHelpText("after", exitCodesHelp)
    .action(async (input: string, output: string, flags: RunFlags) => {
      const { cwd, kernel, prepareOnly, logOutput = false, progressBar } = flags;
      const parameters = readFlags(flags);
      const onEvent = progressReporter({ cells: progressBar, outputs: logOutput });
      const result = await untilSignal((signal) =>
        runNotebook({ input, output, parameters, cwd, kernel, prepareOnly, signal, onEvent }),
      );
      explain(result);
      process.exitCode = exitCodes[result.status];
    });
}

const between = "\0";

/**
 * `-p name value` takes two arguments, as papermill's does, which commander cannot express: this joins the two
 * into one, before it reads them.
 */
export function joinPairs(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    joined.push(argv[i]);
    if (/^(-p|-r|--parameters|--parameters_raw)$/.test(argv[i]) && i + 2 < argv.length) {
      joined.push(`${argv[i + 1]}${between}${argv[i + 2]}`);
      i += 2;
    }
  }
  return joined;
}

function pair(text: string): [string, string] {
  const at = text.indexOf(between);
  if (at === -1) throw new InvalidArgumentError("Write a name and a value after it: -p name value.");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Later ones win: base64, files, YAML, `-p`, `-r`. */
function readFlags(flags: RunFlags): Parameters {
  const decoded = flags.parameters_base64.map((text) => Buffer.from(text, "base64").toString("utf8"));
  return Object.assign(
    {},
    ...decoded.map((text) => parseParameters(text, "--parameters_base64")),
    ...flags.parameters_file.map(readParameters),
    ...flags.parameters_yaml.map((text) => parseParameters(text, "--parameters_yaml")),
    ...flags.parameters.map(([name, value]) => ({ [name]: parseValue(value) })),
    ...flags.parameters_raw.map(([name, value]) => ({ [name]: value })),
  ) as Parameters;
}

/** Ctrl-C stops the work in order; a second one stops it at once. */
export async function untilSignal<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    process.stderr.write("\nStopping; what there is gets saved. Once more to stop at once.\n");
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    return await work(stop.signal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** Says on stderr what ended a run that was not completed. */
export function explain({ status, error, failed, output }: RunResult): void {
  if (status === "completed") return;
  const cell = failed?.execution_count == null ? "" : ` in [${failed.execution_count}]`;
  process.stderr.write(`\n${status}${cell}: ${error?.ename}: ${error?.evalue}\n`);
  for (const part of error?.traceback ?? []) process.stderr.write(`${part}\n`);
  if (output !== "-") process.stderr.write(`What ran is in ${output}\n`);
}
