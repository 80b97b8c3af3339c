/** Objects by https: GET, HEAD and PUT, as papermill has them. */
import { stat as fileStat, readFile } from "node:fs/promises";
import type { ReadableStream } from "node:stream/web";
import { setTimeout as delay } from "node:timers/promises";
import { formatBytes } from "../bytes.js";
import { ModalscopeError } from "../errors.js";
import { type Attempt, mayPass, networkReason, notThere, refused } from "./errors.js";
import { contentTypeOf } from "./location.js";
import {
  attempts,
  defaultStallSeconds,
  PassingError,
  type Store,
  type StoredObject,
  uploadSeconds,
} from "./store.js";

const mostRedirects = 5;
const longestWaitSeconds = 30;
/** A file that is sent in one piece lies in memory. */
const largestUpload = 2 ** 31 - 1;

export const httpStore: Store = {
  async stat(url, signal) {
    const response = await request("read", url, { method: "HEAD", signal });
    await response.body?.cancel();
    return response.status === 404 || response.status === 410 ? undefined : factsOf(response);
  },

  async open(url, { from, etag, signal }) {
    // Sizes and ranges are those of the content, not of a compressed form of it.
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (from > 0) Object.assign(headers, { range: `bytes=${from}-`, ...(etag && { "if-range": etag }) });
    const response = await request("read", url, { method: "GET", headers, signal });
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      throw notThere(url);
    }
    if (from > 0 && response.status !== 206) {
      await response.body?.cancel();
      throw refused("read", url, "It changed while it was read, or its server gives no parts.", "Try again.");
    }
    const facts = factsOf(response);
    const size = facts.size === undefined ? undefined : facts.size + from;
    // The global type of streams has no iterator in every version of the declarations; Node's own has.
    const body = response.body as ReadableStream<Uint8Array> | null;
    return { ...facts, size, body: body ?? empty() };
  },

  async write(url, content, signal) {
    const headers = { "content-type": contentTypeOf(url) };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(uploadSeconds(content.length) * 1000)]);
    const body = content as Uint8Array<ArrayBuffer>;
    const response = await request("write", url, { method: "PUT", headers, body, signal: limit });
    await response.body?.cancel();
    if (response.status === 404) throw refused("write", url, "The server has no such place.", "");
  },

  async writeFile(url, path, signal) {
    const { size } = await fileStat(path);
    if (size > largestUpload)
      throw refused(
        "write",
        url,
        `${path} has ${formatBytes(size)}, too much for one request.`,
        "Use s3://.",
      );
    await httpStore.write(url, await readFile(path), signal);
  },
};

function factsOf(response: Response): StoredObject {
  const length = response.headers.get("content-length");
  const compressed = response.headers.get("content-encoding") ?? "identity";
  return {
    size: length === null || compressed !== "identity" ? undefined : Number(length),
    etag: response.headers.get("etag") ?? undefined,
  };
}

async function* empty(): AsyncGenerator<Uint8Array> {}

/** Sends a request, again where its failure may pass; a response that is not 404 or 410 is a success. */
async function request(attempt: Attempt, url: string, init: RequestInit): Promise<Response> {
  for (let left = attempts - 1, wait = 0.3; ; left--, wait *= 3) {
    try {
      return await follow(attempt, url, init);
    } catch (error) {
      if (init.signal?.aborted && (init.signal.reason as Error | undefined)?.name !== "TimeoutError")
        throw error;
      const passes = error instanceof PassingError || mayPass(error);
      if (!passes || left === 0) throw described(attempt, url, error);
      const asked = error instanceof PassingError ? error.waitSeconds : 0;
      await delay(Math.min(Math.max(asked, wait * (0.5 + Math.random())), longestWaitSeconds) * 1000);
    }
  }
}

function described(attempt: Attempt, url: string, error: unknown): unknown {
  if (error instanceof ModalscopeError) return error;
  if (error instanceof PassingError) return refused(attempt, url, error.message, "Try again later.");
  const reason = networkReason(error);
  return refused(
    attempt,
    url,
    reason ?? "The request failed.",
    reason === undefined ? "" : "Try again later.",
  );
}

/** One attempt, along its redirects. */
async function follow(attempt: Attempt, given: string, init: RequestInit): Promise<Response> {
  let { url, authorization } = credentialsApart(attempt, given);
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const headers = new Headers(init.headers);
    if (authorization !== undefined) headers.set("authorization", authorization);
    const answer = new AbortController();
    const timer =
      init.method === "PUT"
        ? undefined
        : setTimeout(() => answer.abort(noAnswer()), defaultStallSeconds * 1000);
    const signal = init.signal ? AbortSignal.any([init.signal, answer.signal]) : answer.signal;
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers, signal, redirect: "manual" });
    } finally {
      clearTimeout(timer);
    }
    const to = response.status >= 300 && response.status < 400 && response.headers.get("location");
    if (!to) return await checked(attempt, given, response);
    await response.body?.cancel();
    const next = new URL(to, url);
    if (next.protocol !== "https:" && url.protocol === "https:")
      throw refused(attempt, given, `It redirects from https to ${next.protocol}//${next.host}.`, "");
    // What is sent after it would go to whom the user did not name.
    if (next.origin !== url.origin) authorization = undefined;
    url = next;
  }
  throw refused(attempt, given, `It redirects more than ${mostRedirects} times.`, "");
}

function noAnswer(): DOMException {
  return new DOMException("no answer", "TimeoutError");
}

/** A URL without its name and password, and the header that carries them. */
function credentialsApart(attempt: Attempt, given: string): { url: URL; authorization: string | undefined } {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw refused(attempt, given, "It is not a URL.", "");
  }
  const { username, password } = url;
  if (username === "" && password === "") return { url, authorization: undefined };
  if (url.protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname))
    throw refused(attempt, given, "Its password would be sent where others can read it.", "Use https://.");
  url.username = url.password = "";
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url, authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}

async function checked(attempt: Attempt, url: string, response: Response): Promise<Response> {
  const { status } = response;
  if (response.ok || status === 404 || status === 410) return response;
  await response.body?.cancel();
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const asked = Number(response.headers.get("retry-after") ?? 0);
    throw new PassingError(`The server answered ${status} (${response.statusText}).`, asked > 0 ? asked : 0);
  }
  if (status === 401) {
    const hint = "Give a name and a password as https://name:password@…, or a signed URL.";
    throw refused(attempt, url, "The server asks for credentials (401).", hint);
  }
  if (status === 403)
    throw refused(attempt, url, "The server does not allow it (403).", "A signed URL may have expired.");
  if (status === 405 && attempt === "write")
    throw refused(attempt, url, "The server takes no uploads (405).", "Write to a file, or to s3://.");
  throw refused(attempt, url, `The server answered ${status} (${response.statusText}).`, "");
}
