import { readFileSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, ModalscopeError } from "../../lib/errors.js";
import { listKernels } from "../typescript/install.js";
import type { KernelSpec } from "./jupyter-kernel.js";

/** @throws ModalscopeError when Jupyter knows no kernel of this name. */
export function findKernelspec(name: string): KernelSpec {
  const kernels = listKernels();
  const found = kernels.find((kernel) => kernel.name === name);
  if (found === undefined) {
    const names = kernels.map((kernel) => kernel.name);
    throw new ModalscopeError(
      `There is no kernel "${name}".`,
      names.length === 0 ? "Jupyter knows no kernels here." : `Jupyter knows ${names.join(", ")}.`,
      didYouMean(name, names) || "Install it, or choose one with --kernel.",
    );
  }
  return {
    ...(JSON.parse(readFileSync(join(found.folder, "kernel.json"), "utf8")) as KernelSpec),
    folder: found.folder,
  };
}
