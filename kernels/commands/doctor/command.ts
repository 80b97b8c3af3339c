import { Command } from "commander";
import { type Finding, showFinding } from "./finding.js";

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
      // Not at the start of every command: it brings the engine with it.
      const { examine } = await import("./examine.js");
      const findings: Finding[] = [];
      for await (const more of examine()) {
        findings.push(...more);
        if (!json) process.stdout.write(more.map(showFinding).join(""));
      }
      const broken = findings.filter(({ state }) => state === "broken").length;
      if (broken > 0) process.exitCode = 1;
      process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : `\n${verdict(broken)}\n`);
    });
}

function verdict(broken: number): string {
  return broken === 0 ? "All that is needed is here." : `To be mended: ${broken}, marked BROKEN above.`;
}
