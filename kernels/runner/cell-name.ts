import { type Cell, joined } from "../../lib/notebook/index.js";

const longest = 60;

/** Name of each cell in progress messages: its own `name`, its first comment, else the heading above it. */
export function cellNames(cells: readonly Cell[]): string[] {
  let heading = "";
  return cells.map((cell) => {
    const source = joined(cell.source);
    if (cell.cell_type === "markdown") {
      heading = /^#{1,6}\s+(.+?)\s*$/m.exec(source)?.[1] ?? heading;
      return heading;
    }
    const { name } = cell.metadata;
    if (typeof name === "string" && name !== "") return short(name);
    const [first = ""] = source.trimStart().split("\n", 1);
    const comment = /^\/\/+\s*(.+)$|^#+\s*(.+)$|^\/\*+\s*(.+?)\s*(?:\*\/)?$/.exec(first);
    return short(comment?.[1] ?? comment?.[2] ?? comment?.[3] ?? (heading || first));
  });
}

function short(text: string): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}
