/** Reading and writing of whole objects. */
import { formatBytes } from "../bytes.js";
import { mayPass, networkReason, refused } from "./errors.js";
import { attempts, defaultStallSeconds, type OpenObject, type StoredObject } from "./store.js";
import { storeOf } from "./store-of.js";

export interface ReadOptions {
  /** Most bytes that are taken; an object with more is refused. */
  readonly limit?: number;
  /** Seconds without a byte after which a connection is given up. */
  readonly stallSeconds?: number;
  readonly signal?: AbortSignal;
}

const never: AbortSignal = new AbortController().signal;

/**
 * The content of an object.
 * @throws ModalscopeError when there is none, it may not be read, or it is too large
 */
export async function readObject(url: string, options: ReadOptions = {}): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  await pull(url, (chunk) => void chunks.push(chunk), options);
  return Buffer.concat(chunks);
}

/** The same as text; undefined when there is no such object. */
export async function readTextIfThere(url: string, options: ReadOptions = {}): Promise<string | undefined> {
  const facts = await (await storeOf(url)).stat(url, options.signal ?? never);
  return facts === undefined ? undefined : (await readObject(url, options)).toString("utf8");
}

/**
 * Replaces an object as a whole: it is the old one or the new one at every moment.
 * @throws ModalscopeError when it may not be written
 */
export async function writeObject(
  url: string,
  content: Uint8Array,
  signal: AbortSignal = never,
): Promise<void> {
  await (await storeOf(url)).write(url, content, signal);
}

/**
 * Hands an object's content to `take`, piece by piece. A connection that breaks off is opened again where it
 * was, as long as the object is the same.
 */
export async function pull(
  url: string,
  take: (chunk: Uint8Array) => void,
  { limit = Number.POSITIVE_INFINITY, stallSeconds = defaultStallSeconds, signal = never }: ReadOptions,
): Promise<StoredObject> {
  const store = await storeOf(url);
  let facts: StoredObject | undefined;
  let received = 0;
  for (let left = attempts - 1; ; left--) {
    try {
      const object: OpenObject = await store.open(url, { from: received, etag: facts?.etag, signal });
      facts ??= { size: object.size, etag: object.etag };
      checkLimit(url, facts.size ?? 0, limit);
      for await (const chunk of unstalled(object.body, stallSeconds, signal)) {
        received += chunk.length;
        checkLimit(url, received, limit);
        take(chunk);
      }
      if (facts.size === undefined || received === facts.size) return { ...facts, size: received };
      throw new Error("short", { cause: Object.assign(new Error(), { code: "ECONNRESET" }) });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!mayPass(error)) throw error;
      const resumable = received === 0 || facts?.etag !== undefined;
      if (left === 0 || !resumable)
        throw refused("read", url, networkReason(error) ?? "", "Try again later.");
    }
  }
}

function checkLimit(url: string, bytes: number, limit: number): void {
  if (bytes > limit)
    throw refused(
      "read",
      url,
      `It has ${formatBytes(bytes)} or more, and may have ${formatBytes(limit)}.`,
      "",
    );
}

async function* unstalled(
  body: AsyncIterable<Uint8Array>,
  seconds: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await within(chunks.next(), seconds, signal);
      if (next.done) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // Not awaited: what has stalled may never answer this either.
    if (!ended) void Promise.resolve(chunks.return?.()).catch(() => {});
  }
}

async function within<T>(work: Promise<T>, seconds: number, signal: AbortSignal): Promise<T> {
  let stop = (): void => {};
  const end = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason);
    const late = (): void => reject(new DOMException("no more bytes", "TimeoutError"));
    const timer = setTimeout(late, seconds * 1000);
    signal.addEventListener("abort", onAbort);
    stop = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    stop();
    work.catch(() => {});
  }
}
