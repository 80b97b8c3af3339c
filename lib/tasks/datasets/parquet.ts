import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { type DatasetOptions, Row } from "./files.js";

/**
 * Rows of a split that Hugging Face publishes as parquet; undefined where there are no such files.
 * @param split the name that begins the files' names
 * @throws ModalscopeError when a file cannot be read
 */
export async function parquetSplit(
  path: string,
  split: string,
  options: DatasetOptions,
): Promise<Row[] | undefined> {
  const files = parquetFiles(path, split);
  return files.length > 0 ? parquetRows(files, options) : undefined;
}

/**
 * The parquet files of a split: the path itself, or those of a folder (or its `data` folder) whose names begin with the
 * split's, as `test-00000-of-00002.parquet`. None when the path is a folder without any.
 */
function parquetFiles(path: string, split: string): string[] {
  if (path.endsWith(".parquet")) {
    if (existsSync(path)) return [path];
    throw new ModalscopeError(
      `There is no file "${path}".`,
      "",
      "Give the path of a parquet file that exists.",
    );
  }
  for (const folder of [path, join(path, "data")]) {
    if (!existsSync(folder) || !statSync(folder).isDirectory()) continue;
    const files = readdirSync(folder).filter(
      (name) => name.endsWith(".parquet") && name.startsWith(`${split}-`),
    );
    if (files.length > 0) return files.sort().map((name) => join(folder, name));
  }
  return [];
}

/**
 * Reads rows of parquet files, one after the other. Only texts become text: images stay bytes.
 * @throws ModalscopeError when a file cannot be read
 */
export async function parquetRows(
  files: readonly string[],
  { start = 0, limit = Number.POSITIVE_INFINITY }: DatasetOptions,
  columns?: readonly string[],
): Promise<Row[]> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import("hyparquet");
  const rows: Row[] = [];
  let passed = 0;
  for (const path of files) {
    if (rows.length >= limit) break;
    try {
      const file = await asyncBufferFromFile(path);
      const metadata = await parquetMetadataAsync(file);
      const count = Number(metadata.num_rows);
      const rowStart = Math.max(0, start - passed);
      const rowEnd = Math.min(count, rowStart + limit - rows.length);
      passed += count;
      if (rowStart >= rowEnd) continue;
      const read = await parquetReadObjects({
        file,
        metadata,
        rowStart,
        rowEnd,
        utf8: false,
        ...(columns && { columns: [...columns] }),
      });
      read.forEach((fields, i) => {
        rows.push(new Row(fields, `"${path}", row ${rowStart + i + 1}`));
      });
    } catch (cause) {
      throw new ModalscopeError(
        `"${path}" cannot be read as parquet.`,
        (cause as Error).message,
        "Download it again; files compressed with Snappy or not at all can be read.",
        { cause },
      );
    }
  }
  return rows;
}

/** The bytes of an image in a parquet row: `{ bytes, path }`, as Hugging Face's image columns hold it. */
export function imageOf(row: Row, column = "image"): Uint8Array {
  const { bytes } = row.inner(column).fields;
  if (bytes instanceof Uint8Array) return bytes;
  throw new ModalscopeError(
    `The column "${column}" holds no image.`,
    "An image is a record with bytes.",
    "Take the parquet file that the data set is published as, not one with images left out.",
  );
}
