/** Checks of values from notebook files, which may hold anything. Reasons read on after "The cell …". */

const cellTypes: readonly unknown[] = ["code", "markdown", "raw"];

/** Why a value is not a cell; undefined when it is one. Its outputs are checked one by one with `outputProblem`. */
export function cellProblem(cell: unknown): string | undefined {
  if (!isObject(cell)) return "is not an object";
  const { cell_type, source, metadata, outputs, attachments } = cell;
  if (!cellTypes.includes(cell_type)) return `has the unknown type ${shown(cell_type)}`;
  if (!isMultiline(source)) return "has no source";
  if (metadata !== undefined && !isObject(metadata)) return "has metadata that is not an object";
  if (outputs !== undefined && !Array.isArray(outputs)) return "has outputs that are not a list";
  if (attachments !== undefined && !(isObject(attachments) && Object.values(attachments).every(isObject)))
    return "has attachments that are not files by name";
  return undefined;
}

/** Why a value is not an output; undefined when it is one. */
export function outputProblem(output: unknown): string | undefined {
  if (!isObject(output)) return "is not an object";
  const { output_type, name, text, data, metadata, ename, evalue, traceback } = output;
  switch (output_type) {
    case "stream":
      return typeof name === "string" && isMultiline(text) ? undefined : "is a stream without name or text";
    case "display_data":
    case "execute_result":
      if (!isObject(data)) return "has no data";
      return metadata === undefined || isObject(metadata) ? undefined : "has metadata that is not an object";
    case "error":
      return typeof ename === "string" && typeof evalue === "string" && isTextList(traceback)
        ? undefined
        : "is an error without name, message or traceback";
    default:
      return `has the unknown type ${shown(output_type)}`;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMultiline(value: unknown): boolean {
  return typeof value === "string" || isTextList(value);
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((line) => typeof line === "string");
}

/** A value in a few words; it may be large, or nested too deeply to be written. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return value === undefined || value === null || typeof value !== "object" ? String(value) : typeof value;
}
