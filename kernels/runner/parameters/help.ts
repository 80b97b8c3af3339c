/** Descriptions of a notebook's parameters, for people and for programs. */
import type { Notebook } from "../../../lib/notebook/index.js";
import { notebookParameters, takesParameters } from "./inject.js";
import type { DeclaredParameter } from "./translator.js";

/** One parameter, under the names that papermill's `inspect_notebook` uses. */
export interface InspectedParameter {
  name: string;
  /** The type that is written or that its default has; "None" when it is not known. */
  inferred_type_name: string;
  /** The default as source text; empty when there is none. */
  default: string;
  /** The comment beside or above it. */
  help: string;
}

/** A notebook's parameters by name, in order. */
export function inspectNotebook(notebook: Notebook): Record<string, InspectedParameter> {
  const declared = notebookParameters(notebook);
  return Object.fromEntries(declared.map((parameter) => [parameter.name, inspected(parameter)]));
}

/** Text that `--help-notebook` prints for a notebook. */
export function parametersHelp(notebook: Notebook, path: string): string {
  const title = `Parameters of ${path}:`;
  if (!takesParameters(notebook)) return `${title}\n\n  No cell is tagged "parameters".\n`;
  const declared = Object.values(inspectNotebook(notebook));
  if (declared.length === 0) return `${title}\n\n  The cell tagged "parameters" declares none.\n`;
  const heads = declared.map(({ name, inferred_type_name: type, default: value }) => {
    const standard = value === "" ? "no default" : `default ${value.replace(/\s+/g, " ")}`;
    return `  ${name}: ${type === "None" ? "unknown type" : type} (${standard})`;
  });
  const column = Math.min(longestHead, Math.max(...heads.map((head) => head.length)) + 2);
  const lines = declared.map(({ help }, i) => {
    if (help === "") return heads[i];
    return heads[i].length < column
      ? heads[i].padEnd(column) + help
      : `${heads[i]}\n${" ".repeat(column)}${help}`;
  });
  return `${title}\n\n${lines.join("\n")}\n`;
}

const longestHead = 44;

function inspected({ name, type, inferred, initialiser, help }: DeclaredParameter): InspectedParameter {
  return { name, inferred_type_name: type ?? inferred ?? "None", default: initialiser ?? "", help };
}
