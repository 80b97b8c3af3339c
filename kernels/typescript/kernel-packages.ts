/** Specifiers of packages that a notebook far from any package.json finds beside the kernel. */
export const kernelPackage: RegExp = /^(modalscope|tslab|danfojs-node)($|\/)/;
