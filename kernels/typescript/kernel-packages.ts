/** Specifiers of packages that a notebook far from any package.json finds beside the kernel. */
export const kernelPackage: RegExp = /^(modalscope|danfojs-node)($|\/)/;

/** Where the kernel's own package has what a cell imports: `tslab` is a module of that interface, wherever the cell runs. */
export function kernelModule(specifier: string): string | undefined {
  return specifier === "tslab" ? "modalscope/tslab" : undefined;
}
