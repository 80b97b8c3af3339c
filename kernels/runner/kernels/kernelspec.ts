import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { didYouMean, ModalscopeError } from "../../../lib/errors.js";
import { listKernels } from "../../protocol/index.js";
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
  const spec = JSON.parse(readFileSync(join(found.folder, "kernel.json"), "utf8")) as KernelSpec;
  return { ...spec, argv: withOwnPython(spec.argv, found.folder), folder: found.folder };
}

/** A bare `python` is that of the environment that the kernelspec lies in, as for Jupyter's own clients. */
function withOwnPython(argv: readonly string[], folder: string): string[] {
  const [command, ...rest] = argv;
  const prefix = resolve(folder, "..", "..", "..", "..");
  const own = /^python(\d(\.\d+)?)?$/.test(command) ? join(prefix, "bin", command) : command;
  return [own !== command && existsSync(own) ? own : command, ...rest];
}
