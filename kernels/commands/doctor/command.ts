import { Command } from "commander";
import { type Check, formatCheck } from "./check.js";

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Checks what the package needs and can use on this machine, and how to fix what is missing.")
    .option("--json", "print the checks as JSON")
    .addHelpText(
      "after",
      "\nExit code 1 when something required is missing, or something installed does not work.",
    )
    .action(async ({ json }: { json?: boolean }) => {
      // Imported here because it loads the engine.
      const { examine } = await import("./examine.js");
      const checks: Check[] = [];
      for await (const more of examine()) {
        checks.push(...more);
        if (!json) process.stdout.write(more.map(formatCheck).join(""));
      }
      const broken = checks.filter(({ state }) => state === "broken").length;
      if (broken > 0) process.exitCode = 1;
      process.stdout.write(json ? `${JSON.stringify(checks, null, 2)}\n` : `\n${verdict(broken)}\n`);
    });
}

function verdict(broken: number): string {
  if (broken === 0) return "Everything required is installed and works.";
  return `${broken} ${broken === 1 ? "problem" : "problems"} to fix, marked BROKEN above.`;
}
