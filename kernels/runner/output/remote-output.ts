/** A run's notebook at a URL. */
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ModalscopeError } from "../../../lib/errors.js";
import { type Notebook, notebookPieces } from "../../../lib/notebook/index.js";
import { baseName, LatestUpload, shownPath, writeObject } from "../../../lib/storage/index.js";
import type { Destination } from "./destination.js";

/**
 * Uploads the notebook at each save, whole and one upload at a time, while the run goes on. Nothing keeps a second run
 * from the same URL: the one that saves last wins.
 */
export function remoteOutput(url: string): Destination {
  const upload = new LatestUpload(url);
  return {
    begin: (notebook) => writeObject(url, bytesOf(notebook)),
    save: (notebook) => upload.put(() => bytesOf(notebook)),
    async finish(notebook) {
      try {
        await upload.finish(() => bytesOf(notebook));
      } catch (error) {
        throw kept(notebook, url, error);
      }
    },
    release() {},
  };
}

function bytesOf(notebook: Notebook): Uint8Array {
  return Buffer.concat([...notebookPieces(notebook)].map((piece) => Buffer.from(piece)));
}

/** The error of a last upload, after the notebook was saved on this machine. */
function kept(notebook: Notebook, url: string, error: unknown): unknown {
  if (!(error instanceof ModalscopeError)) return error;
  const { summary, reason, hint } = error;
  const file = saveHere(notebook, url);
  const here = file === undefined ? reason : `${reason} The executed notebook is in ${file} instead.`;
  return new ModalscopeError(summary, here, hint);
}

/** In the working folder, else in the system's for temporary files, under a name that is free. */
function saveHere(notebook: Notebook, url: string): string | undefined {
  for (const folder of [process.cwd(), join(tmpdir(), `modalscope-${process.pid}`)])
    for (let i = 0; i < 100; i++) {
      const path = resolve(folder, `${i === 0 ? "" : `${i}-`}${baseName(url)}`);
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileSync(path, bytesOf(notebook), { flag: "wx" });
        return path;
      } catch (error) {
        // Another name where this one is taken, another folder where this one cannot be written.
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") break;
      }
    }
  process.stderr.write(`${shownPath(url)} could not be kept on this machine either.\n`);
  return undefined;
}
