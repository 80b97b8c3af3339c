import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Command } from "commander";
import { cacheFolder } from "../../lib/cache-folder.js";
import { ModalscopeError } from "../../lib/errors.js";
import { packageRoot } from "../../lib/package-root.js";
import { installKernel } from "../protocol/index.js";

export const labAdvice: string =
  "python3 -m venv .venv && .venv/bin/pip install jupyterlab, then npm run lab (or use VS Code, which needs no Python).";

export function labCommand(): Command {
  return new Command("lab")
    .description(
      "Opens JupyterLab on the notebooks, with the kernel installed for it. Arguments after -- go to JupyterLab.",
    )
    .option("--notebooks <folder>", "folder to open", join(packageRoot(), "notebooks"))
    .argument("[arguments...]", "passed to JupyterLab")
    .action(async (rest: string[], { notebooks }: { notebooks: string }) => {
      process.exitCode = await openLab(findJupyterLab(), notebooks, rest);
    });
}

/**
 * Path of JupyterLab in the active Python environment, in `.venv`, or on PATH; undefined where it is not installed.
 * @param roots folders whose `.venv` is looked into
 */
export function findJupyterLab(
  env: NodeJS.ProcessEnv = process.env,
  roots: readonly string[] = [".", packageRoot()],
): string | undefined {
  const [bin, name] = process.platform === "win32" ? ["Scripts", "jupyter-lab.exe"] : ["bin", "jupyter-lab"];
  const environments = [env.VIRTUAL_ENV, env.CONDA_PREFIX, ...roots.map((root) => join(root, ".venv"))];
  const folders = [
    ...environments.flatMap((folder) => (folder ? [join(folder, bin)] : [])),
    ...(env.PATH ?? "").split(delimiter).filter(Boolean),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * Runs JupyterLab to its end; gives its exit code.
 * @throws ModalscopeError when there is none, or no such folder.
 */
export async function openLab(
  program: string | undefined,
  notebooks: string,
  rest: readonly string[],
): Promise<number> {
  if (program === undefined) {
    throw new ModalscopeError(
      "JupyterLab is not installed.",
      "It is not in VIRTUAL_ENV, CONDA_PREFIX, .venv or PATH.",
      labAdvice,
    );
  }
  if (!existsSync(notebooks)) throw new ModalscopeError(`There is no folder ${notebooks}.`);
  // Installed into a folder of its own, so that the user's kernels stay as they are.
  const prefix = join(cacheFolder(), "lab");
  installKernel({ prefix, name: "modalscope" });
  const paths = [join(prefix, "share", "jupyter"), process.env.JUPYTER_PATH].filter(Boolean);
  const lab = spawn(program, [`--notebook-dir=${notebooks}`, ...rest], {
    stdio: "inherit",
    env: { ...process.env, JUPYTER_PATH: paths.join(delimiter) },
  });
  // Ctrl-C reaches JupyterLab too, which asks for confirmation.
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
