/** Notebooks in nbformat 4: their types, reading and writing. */
export { isObject } from "./check.js";
export {
  isUnreadable,
  parseNotebook,
  parseReadable,
  type ReadableCell,
  type ReadableNotebook,
  readNotebook,
  type Unreadable,
} from "./read.js";
export {
  type Cell,
  type CellMetadata,
  type CellOutput,
  hasTag,
  joined,
  type Kernelspec,
  type MimeBundle,
  type Multiline,
  type Notebook,
  type NotebookMetadata,
  newCell,
  tagsOf,
} from "./types.js";
export { notebookPieces, notebookText } from "./write.js";
