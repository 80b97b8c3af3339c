/** Copies on this machine of what lies elsewhere, in the cache folder. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { formatBytes } from "../bytes.js";
import { cacheFolder, checkPrivate } from "../cache-folder.js";
import { ModalscopeError } from "../errors.js";
import { describeFileError } from "../file-errors.js";
import { makeFolder } from "../folder.js";
import { abortSignal, checkOptions, type OptionChecks, TASK_OPTIONS, text, texts } from "../options.js";
import { writeAll } from "../pipe.js";
import type { TaskOptions } from "../progress.js";
import { openNew, replaceFile } from "../replace-file.js";
import { refused } from "./errors.js";
import { baseName, isRemote, joinPath, shownPath, urlDigest } from "./location.js";
import { pull } from "./objects.js";
import type { Store, StoredObject } from "./store.js";
import { storeOf } from "./store-of.js";

export interface LocalCopyOptions extends TaskOptions {
  /** Folder for the copies; a folder of the user's cache when left out. */
  readonly cache?: string;
  /** The names that are taken of a folder, those of them that are there; by https, which lists nothing, they are needed. */
  readonly files?: readonly string[];
}

const LOCAL_COPY_OPTIONS: OptionChecks<LocalCopyOptions> = { ...TASK_OPTIONS, cache: text, files: texts };

/**
 * Path of a file or a folder on this machine: a path is given back as it is, and what an `s3://` or `https://` URL
 * names is downloaded into the cache folder. A later call asks the server what has changed, and downloads that.
 *
 * ```ts
 * const tasks = await loadGqa(await localCopy("s3://bucket/gqa"), { limit: 100 });
 * ```
 * @param path of a folder by https it ends with "/"
 * @throws ModalscopeError when it is not there, may not be read, or the disk is too small
 */
export async function localCopy(path: string, options: LocalCopyOptions = {}): Promise<string> {
  checkOptions("localCopy", options, LOCAL_COPY_OPTIONS);
  if (!isRemote(path)) return path;
  const { cache = cacheFolder(), signal = new AbortController().signal } = options;
  const folder = join(cache, "remote", urlDigest(path));
  const store = await storeOf(path);
  const single = path.endsWith("/") ? undefined : await store.stat(path, signal);
  const target = join(folder, baseName(path));
  if (single !== undefined) {
    await bring(new Map([["", single]]), { url: path, folder, target, options });
    return target;
  }
  const { wanted, isGone } = await objectsIn(path, store, options.files, signal);
  for (const name of wanted.keys()) checkName(path, name);
  removeGone(folder, target, isGone);
  await bring(wanted, { url: path, folder, target, options });
  return target;
}

interface Inside {
  wanted: Map<string, StoredObject>;
  /** Whether a file that was copied earlier is known not to be there any more. */
  isGone(name: string): boolean;
}

async function objectsIn(
  url: string,
  store: Store,
  files: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<Inside> {
  const all = await store.list?.(url, signal);
  const wanted = new Map<string, StoredObject>();
  if (all === undefined && (files === undefined || !url.endsWith("/"))) {
    const reason = "There is no such object, and folders cannot be listed by https.";
    throw refused("read", url, reason, "Use s3://, or name a file.");
  }
  for (const name of files ?? all?.keys() ?? []) {
    const facts = all === undefined ? await store.stat(joinPath(url, name), signal) : all.get(name);
    if (facts !== undefined) wanted.set(name, facts);
  }
  if (wanted.size === 0) throw refused("read", url, "There is nothing there.", "See that it is spelt right.");
  return {
    wanted,
    isGone: (name) => !wanted.has(name) && (all ? !all.has(name) : files?.includes(name) === true),
  };
}

function removeGone(folder: string, target: string, isGone: (name: string) => boolean): void {
  const manifest = readManifest(folder);
  const gone = Object.keys(manifest).filter((name) => name !== "" && isGone(name));
  for (const name of gone) {
    onDisk(target, () => rmSync(join(target, ...name.split("/")), { force: true }));
    delete manifest[name];
  }
  if (gone.length > 0) onDisk(folder, () => replaceFile(manifestPath(folder), [JSON.stringify(manifest)]));
}

/** A name must not lead out of the folder. */
function checkName(url: string, name: string): void {
  const parts = name.split("/");
  if (!parts.some((part) => part === "" || part === "." || part === "..") && !/[\\\0]/.test(name)) return;
  throw refused("read", url, `It holds ${JSON.stringify(name.slice(0, 80))}, which is no file's name.`, "");
}

/** Source that a file was copied from, and when the copy was last written. */
interface Copied extends StoredObject {
  readonly mtimeMs?: number;
}

/** By the file's name in the folder. */
type Manifest = Record<string, Copied>;

interface Target {
  url: string;
  /** Of this URL in the cache. */
  folder: string;
  /** The copy in it: a file, or a folder of files. */
  target: string;
  options: LocalCopyOptions;
}

async function bring(objects: ReadonlyMap<string, StoredObject>, place: Target): Promise<void> {
  const { url, folder, target, options } = place;
  if (existsSync(folder)) checkPrivate(folder);
  const manifest = readManifest(folder);
  const pathOf = (name: string): string => (name === "" ? target : join(target, ...name.split("/")));
  const missing = [...objects].filter(([name, facts]) => !isCurrent(pathOf(name), facts, manifest[name]));
  if (missing.length === 0) return;
  const bytes = missing.reduce((sum, [, { size = 0 }]) => sum + size, 0);
  onDisk(folder, () => makeFolder(folder, 0o700));
  checkRoom(url, folder, bytes);
  let done = 0;
  for (const [name, facts] of missing) {
    options.signal?.throwIfAborted();
    const from = name === "" ? url : joinPath(url, name);
    const label = `${formatBytes(bytes)} from ${shownPath(url)}`;
    const copied = await download(from, pathOf(name), options, (received) =>
      options.onProgress?.(done + received, Math.max(bytes, done + received), label),
    );
    manifest[name] = { ...copied, mtimeMs: statSync(pathOf(name)).mtimeMs };
    done += facts.size ?? 0;
    onDisk(folder, () => replaceFile(manifestPath(folder), [JSON.stringify(manifest)]));
  }
}

/** What was changed since it was copied is no copy any more. */
function isCurrent(path: string, facts: StoredObject, copied: Copied | undefined): boolean {
  if (copied === undefined || facts.etag === undefined || facts.etag !== copied.etag) return false;
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.size === copied.size && found?.mtimeMs === copied.mtimeMs;
}

function manifestPath(folder: string): string {
  return join(folder, ".copied.json");
}

function readManifest(folder: string): Manifest {
  const path = manifestPath(folder);
  if (!existsSync(path)) return Object.create(null) as Manifest;
  try {
    return Object.assign(Object.create(null), JSON.parse(readFileSync(path, "utf8"))) as Manifest;
  } catch {
    // Damaged: everything is copied again.
    return Object.create(null) as Manifest;
  }
}

/** The file appears under its name when it is whole; two processes may copy the same at once. */
async function download(
  url: string,
  path: string,
  { signal }: LocalCopyOptions,
  onBytes: (received: number) => void,
): Promise<StoredObject> {
  const temporary = `${path}.${process.pid}.part`;
  const file = onDisk(path, () => {
    makeFolder(dirname(path), 0o700);
    return openNew(temporary, 0o600);
  });
  try {
    let received = 0;
    const take = (chunk: Uint8Array): void => {
      onDisk(path, () => writeAll(file, chunk));
      received += chunk.length;
      onBytes(received);
    };
    const facts = await pull(url, take, { signal });
    onDisk(path, () => {
      fsyncSync(file);
      renameSync(temporary, path);
    });
    return facts;
  } finally {
    closeSync(file);
    rmSync(temporary, { force: true });
  }
}

function checkRoom(url: string, folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bytes <= bavail * bsize) return;
  throw refused(
    "read",
    url,
    `The copy takes ${formatBytes(bytes)}, and ${folder} has ${formatBytes(bavail * bsize)} of room.`,
    "Free some, or set MODALSCOPE_CACHE to a folder on a larger disk.",
  );
}

function onDisk<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const hint = "Set MODALSCOPE_CACHE to a folder that can be written and has room.";
    throw new ModalscopeError(`Cannot write ${path}.`, describeFileError(error), hint, { cause: error });
  }
}

/**
 * Copies a file to an `s3://` or `https://` URL, which then holds it whole; a call that is cut short leaves what was
 * there before.
 * @throws ModalscopeError when the file cannot be read, or may not be written there
 */
export async function upload(
  path: string,
  url: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  checkOptions("upload", options, { signal: abortSignal });
  if (!isRemote(url))
    throw new ModalscopeError(`${url} is not a URL.`, "Files are uploaded to s3:// or https://.", "");
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile())
    throw new ModalscopeError(
      `Cannot upload ${path}.`,
      stat === undefined ? "There is no such file." : "It is not a file.",
    );
  await (await storeOf(url)).writeFile(url, path, options.signal ?? new AbortController().signal);
}
