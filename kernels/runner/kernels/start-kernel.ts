import { ModalscopeError } from "../../../lib/errors.js";
import type { Kernelspec, Notebook } from "../../../lib/notebook/index.js";
import { type KernelStart, type RunnerKernel, startOwnKernel } from "./kernel.js";
import { findKernelspec } from "./kernelspec.js";

/** A kernel that a notebook can run on, found and not yet started. */
export interface FoundKernel {
  name: string;
  /** Language that it runs, where its kernelspec says so. */
  language: string | undefined;
  displayName: string;
  start(options: KernelStart): Promise<RunnerKernel>;
}

/** The kernels of TypeScript notebooks; all of them run on this package's. */
const ownKernels = new Set(["modalscope", "typescript", "tslab"]);

/**
 * Finds the kernel that a notebook names, or the one that was chosen over it.
 * @throws ModalscopeError when there is none.
 */
export function findKernel({ metadata }: Notebook, chosen?: string): FoundKernel {
  const spec: Kernelspec | undefined = metadata.kernelspec;
  const name = chosen ?? spec?.name;
  const language = spec?.language ?? metadata.language_info?.name;
  if (ownKernels.has(name ?? "") || (chosen === undefined && isTypeScript(language))) {
    return {
      name: name ?? "modalscope",
      language: "typescript",
      displayName: "TypeScript (modalscope)",
      start: startOwnKernel,
    };
  }
  if (name === undefined) {
    throw new ModalscopeError(
      "The notebook does not say which kernel runs it.",
      `Its metadata has no kernelspec${typeof language === "string" ? `; its language is ${language}` : ""}.`,
      "Choose one with --kernel, such as --kernel modalscope.",
    );
  }
  const found = findKernelspec(name);
  return {
    name,
    language: found.language,
    displayName: found.display_name ?? name,
    async start(options) {
      // Loaded only here: it brings ZeroMQ with it, which this package's own kernel does not need.
      const { startJupyterKernel } = await import("./jupyter-kernel.js");
      return startJupyterKernel(found, options);
    },
  };
}

/** Clients write the name of a language in any case. */
const isTypeScript = (language: unknown): boolean =>
  typeof language === "string" && language.toLowerCase() === "typescript";
