import { dirname, join, resolve } from "node:path";

import ts = require("typescript");

/** Texts by path. */
export type Texts = ReadonlyMap<string, string>;

/**
 * The declarations of JavaScript's and Node's libraries, each as one file: the first file of a library holds all of it,
 * and the others are empty. The checker puts the global names of all files together anew for every cell, and looks
 * whether any has changed: with 120 files that is most of what a small cell takes, with two it is little. What is
 * declared is the same, overloads in the same order.
 * @param node the first file of Node's declarations
 */
export function joinedDeclarations(libraries: readonly string[], node: string | undefined): Texts {
  const texts = new Map<string, string>();
  const folder = dirname(ts.getDefaultLibFilePath({}));
  for (const library of libraries) joinAll(join(folder, library), folder, texts);
  if (node !== undefined) joinAll(node, folder, texts);
  return texts;
}

function joinAll(first: string, libraries: string, texts: Map<string, string>): void {
  const parts: string[] = [];
  /** References to what stays a file of its own. */
  const others: string[] = [];
  const visit = (path: string): void => {
    if (texts.has(path)) return;
    const text = ts.sys.readFile(path);
    if (text === undefined) return;
    texts.set(path, "");
    const { referencedFiles, libReferenceDirectives, typeReferenceDirectives } = ts.preProcessFile(
      text,
      false,
    );
    for (const { fileName } of libReferenceDirectives) visit(join(libraries, `lib.${fileName}.d.ts`));
    for (const { fileName } of typeReferenceDirectives) others.push(`/// <reference types="${fileName}" />`);
    for (const { fileName } of referencedFiles) {
      const file = resolve(dirname(path), fileName);
      if (isModule(ts.sys.readFile(file) ?? "")) others.push(`/// <reference path="${file}" />`);
      else visit(file);
    }
    parts.push(text.replace(/^\/\/\/.*$/gm, ""));
  };
  visit(first);
  if (parts.length > 0) texts.set(first, [...new Set(others), ...parts].join("\n"));
}

/** Libraries are written one way: what stands at the beginning of a line is at the top level. */
function isModule(text: string): boolean {
  return /^(?:import|export)\b/m.test(text);
}
