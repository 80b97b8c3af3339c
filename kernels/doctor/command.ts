import { Command } from "commander";
import { checkBackEnds } from "./back-ends.js";
import { type Finding, showFinding } from "./finding.js";
import { checkJupyter, checkKernels, checkSession } from "./jupyter.js";
import { checkCheckpoints, checkGpu, checkMemory, checkNode } from "./machine.js";

export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "Looks at what the package needs and can use here, and says what to do about what is missing.",
    )
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      "\nExit code 1 when something that is needed is missing, or something installed does not work.",
    )
    .action(async ({ json }: { json?: boolean }) => {
      const findings: Finding[] = [];
      const add = (...more: Finding[]): void => {
        findings.push(...more);
        if (!json) process.stdout.write(more.map(showFinding).join(""));
      };
      add(checkNode(), checkMemory(), checkGpu());
      add(...(await checkBackEnds()));
      add(...checkCheckpoints(), await checkSession(), checkJupyter(), ...checkKernels());
      if (json) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
      const broken = findings.filter(({ state }) => state === "broken").length;
      if (broken > 0) process.exitCode = 1;
      if (!json) {
        process.stdout.write(
          broken === 0
            ? "\nAll that is needed is here.\n"
            : `\nTo be mended: ${broken}, marked BROKEN above.\n`,
        );
      }
    });
}
