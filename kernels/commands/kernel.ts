import { Command, Option } from "commander";
import { installKernel, listKernels, uninstallKernel } from "../protocol/index.js";

interface PlaceFlags {
  user?: boolean;
  sysPrefix?: boolean;
  prefix?: string;
  name: string;
}

export function kernelCommand(): Command {
  const place = (command: Command): Command =>
    command
      .addOption(new Option("--user", "for this user (the default)").conflicts(["sysPrefix", "prefix"]))
      .addOption(
        new Option(
          "--sys-prefix",
          "into the active Python environment (VIRTUAL_ENV or CONDA_PREFIX)",
        ).conflicts("prefix"),
      )
      .option("--prefix <folder>", "into share/jupyter/kernels under this folder")
      .option("--name <name>", "the kernel's name", "modalscope");
  return new Command("kernel")
    .description("Installs, lists and removes the Jupyter kernel. Python is not needed.")
    .addHelpText(
      "after",
      "\nExample:\n  modalscope kernel install --user    then start Jupyter and choose TypeScript (modalscope)",
    )
    .addCommand(
      place(new Command("install"))
        .description("Writes the kernelspec, so that Jupyter finds the kernel.")
        .option("--display-name <name>", "name that clients show", "TypeScript (modalscope)")
        .action((flags: PlaceFlags & { displayName: string }) => {
          process.stdout.write(`Installed ${installKernel(flags)}\n`);
        }),
    )
    .addCommand(
      new Command("list").description("Lists the kernels that Jupyter finds.").action(() => {
        const kernels = listKernels();
        if (kernels.length === 0) process.stderr.write("Jupyter finds no kernels here.\n");
        for (const { name, folder, state } of kernels) process.stdout.write(`${name}\t${folder}\t${state}\n`);
      }),
    )
    .addCommand(
      place(new Command("uninstall"))
        .description("Removes the kernelspec.")
        .action((flags: PlaceFlags) => {
          process.stdout.write(`Removed ${uninstallKernel(flags)}\n`);
        }),
    );
}
