#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { ModalscopeError } from "../lib/errors.js";
import { packageVersion } from "../lib/package-root.js";
import { outliveReaders } from "./commands/closed-streams.js";
import { doctorCommand } from "./commands/doctor/command.js";
import { kernelCommand } from "./commands/kernel.js";
import { labCommand } from "./commands/lab.js";
import { reportCommand } from "./commands/report.js";
import { joinPairs, runCommand } from "./commands/run.js";
import { studiesCommand } from "./commands/studies.js";

const usageError = 2;

outliveReaders();

const program = new Command("modalscope")
  .description("Look inside vision-language models: run notebooks, write reports, manage the Jupyter kernel.")
  .version(packageVersion())
  .addHelpText(
    "after",
    `
To begin:
  modalscope doctor      what works on this machine
  modalscope studies     the studies on the embedded checkpoints, and a report of them
  modalscope lab         the same notebooks in JupyterLab`,
  )
  .addCommand(runCommand())
  .addCommand(studiesCommand())
  .addCommand(reportCommand())
  .addCommand(kernelCommand())
  .addCommand(labCommand())
  .addCommand(doctorCommand());
throwUsageErrors(program);

try {
  await program.parseAsync(joinPairs(process.argv));
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageError;
  else if (error instanceof ModalscopeError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } else throw error;
}

/** So that wrong usage has its exit code, however deep the command. */
function throwUsageErrors(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) throwUsageErrors(inner);
}
