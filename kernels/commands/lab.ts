import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Command } from "commander";
import { ModalscopeError } from "../../lib/errors.js";
import { packageRoot } from "../../lib/package-root.js";
import { installKernel } from "../protocol/kernelspecs.js";

export const labAdvice: string =
  "python3 -m venv .venv && .venv/bin/pip install jupyterlab, then npm run lab (or use VS Code, which needs no Python).";

export function labCommand(): Command {
  return new Command("lab")
    .description(
      "Opens JupyterLab on the notebooks, with the kernel there for it. More arguments go to JupyterLab.",
    )
    .option("--notebooks <folder>", "what it opens", join(packageRoot(), "notebooks"))
    .argument("[arguments...]", "JupyterLab's own, after --")
    .action(async (rest: string[], { notebooks }: { notebooks: string }) => {
      process.exitCode = await openLab(notebooks, rest);
    });
}

/** The program, in the active Python environment, in `.venv` here, or on the path. */
export function findJupyterLab(): string | undefined {
  const [bin, name] = process.platform === "win32" ? ["Scripts", "jupyter-lab.exe"] : ["bin", "jupyter-lab"];
  const environments = [
    process.env.VIRTUAL_ENV,
    process.env.CONDA_PREFIX,
    ".venv",
    join(packageRoot(), ".venv"),
  ];
  const folders = [
    ...environments.flatMap((folder) => (folder ? [join(folder, bin)] : [])),
    ...(process.env.PATH ?? "").split(delimiter).filter(Boolean),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Ends with JupyterLab; gives its exit code. */
async function openLab(notebooks: string, rest: readonly string[]): Promise<number> {
  const program = findJupyterLab();
  if (program === undefined) {
    throw new ModalscopeError(
      "JupyterLab is not installed.",
      "It was looked for in VIRTUAL_ENV, CONDA_PREFIX, .venv and PATH.",
      labAdvice,
    );
  }
  if (!existsSync(notebooks)) throw new ModalscopeError(`There is no folder ${notebooks}.`);
  // In a place of its own: the user's list of kernels stays as it is.
  const { defaultCacheDir } = await import("../../lib/model/checkpoint/index.js");
  const prefix = join(defaultCacheDir(), "lab");
  installKernel({ prefix, name: "modalscope" });
  const paths = [join(prefix, "share", "jupyter"), process.env.JUPYTER_PATH].filter(Boolean);
  const lab = spawn(program, [`--notebook-dir=${notebooks}`, ...rest], {
    stdio: "inherit",
    env: { ...process.env, JUPYTER_PATH: paths.join(delimiter) },
  });
  // Ctrl-C reaches it too, and it asks whether it is meant.
  const ignore = (): void => {};
  process.on("SIGINT", ignore);
  process.once("SIGTERM", () => lab.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    lab.on("error", reject);
    lab.on("exit", (code) => {
      process.off("SIGINT", ignore);
      resolve(code ?? 1);
    });
  });
}
