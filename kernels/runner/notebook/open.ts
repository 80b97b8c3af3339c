/** Notebooks from files and from URLs. */
import { existsSync } from "node:fs";
import { type Notebook, parseNotebook, readNotebook } from "../../../lib/notebook/index.js";
import { isRemote, readObject, readTextIfThere, shownPath } from "../../../lib/storage/index.js";

/** Longer text is no string. */
const limit = 500e6;

/**
 * Reads a notebook.
 * @param path a file, an `s3://` or `https://` URL, or `-` for standard input
 * @throws ModalscopeError when there is none, or it cannot be run
 */
export async function openNotebook(path: string): Promise<Notebook> {
  if (!isRemote(path)) return readNotebook(path);
  return parseNotebook((await readObject(path, { limit })).toString("utf8"), shownPath(path));
}

/** The same; undefined when there is none. */
export async function openNotebookIfThere(path: string): Promise<Notebook | undefined> {
  if (!isRemote(path)) return path !== "-" && existsSync(path) ? readNotebook(path) : undefined;
  const text = await readTextIfThere(path, { limit });
  return text === undefined ? undefined : parseNotebook(text, shownPath(path));
}
