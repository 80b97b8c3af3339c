/** A grid's tables, on this machine or at a URL. */
import { dirname, resolve } from "node:path";
import { makeFolder } from "../../../lib/folder.js";
import { replaceFile } from "../../../lib/replace-file.js";
import { isRemote, LatestUpload, writeObject } from "../../../lib/storage/index.js";
import { lockOutput } from "../output/lock.js";
import { type GridRow, summaryCsv } from "./summary.js";
import { parquetPath, summaryParquet } from "./table.js";

export interface TableFile {
  /** Brings `summary.csv` up to date; what cannot be uploaded now is tried again with the next. */
  save(rows: readonly GridRow[]): void;
  /** Writes both tables. */
  finish(rows: readonly GridRow[]): Promise<void>;
  release(): void;
}

/** Writes `summary.csv`, and beside it `summary.parquet`. */
export async function writeTable(path: string, rows: readonly GridRow[]): Promise<void> {
  const [csv, parquet] = [summaryCsv(path, rows), await summaryParquet(path, rows)];
  if (isRemote(path)) {
    await writeObject(path, Buffer.from(csv));
    await writeObject(parquetPath(path), parquet);
    return;
  }
  makeFolder(dirname(resolve(path)));
  replaceFile(path, [csv]);
  replaceFile(parquetPath(path), [parquet]);
}

/**
 * Keeps other calls from the tables, where they lie on this machine.
 * @throws ModalscopeError when another call has them
 */
export function openTable(path: string): TableFile {
  if (!isRemote(path)) {
    makeFolder(dirname(resolve(path)));
    return {
      save: (rows) => replaceFile(path, [summaryCsv(path, rows)]),
      finish: (rows) => writeTable(path, rows),
      release: lockOutput(path),
    };
  }
  const upload = new LatestUpload(path);
  return {
    save(rows) {
      try {
        upload.put(() => Buffer.from(summaryCsv(path, rows)));
      } catch (error) {
        process.stderr.write(`${(error as Error).message} It is tried again.\n`);
      }
    },
    async finish(rows) {
      await upload.finish(() => Buffer.from(summaryCsv(path, rows)));
      await writeTable(path, rows);
    },
    release() {},
  };
}
