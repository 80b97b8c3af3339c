/** Objects in S3, and whatever speaks its protocol, by AWS' own library: an optional package, loaded here alone. */
import { stat as fileStat, open } from "node:fs/promises";
import { ModalscopeError } from "../errors.js";
import { type Attempt, networkReason, notThere, refused } from "./errors.js";
import { contentTypeOf, s3Location } from "./location.js";
import { attempts, defaultStallSeconds, type Store, type StoredObject, uploadSeconds } from "./store.js";

const packageName = "@aws-sdk/client-s3";

/** The parts of the library that are used; it may be absent when this is compiled. */
interface S3Library {
  S3Client: new (config: object) => S3Client;
  HeadObjectCommand: Command;
  GetObjectCommand: Command;
  PutObjectCommand: Command;
  ListObjectsV2Command: Command;
  CreateMultipartUploadCommand: Command;
  UploadPartCommand: Command;
  CompleteMultipartUploadCommand: Command;
  AbortMultipartUploadCommand: Command;
}

type Command = new (input: object) => object;

interface S3Client {
  readonly config: { region(): Promise<string> };
  send(command: object, options: { abortSignal: AbortSignal }): Promise<S3Answer>;
}

/** Fields of the answers that are read. */
interface S3Answer {
  ContentLength?: number;
  ContentRange?: string;
  ETag?: string;
  Body?: AsyncIterable<Uint8Array>;
  Contents?: { Key?: string; Size?: number; ETag?: string }[];
  NextContinuationToken?: string;
  UploadId?: string;
}

type Operation = Exclude<keyof S3Library, "S3Client">;

export const s3Store: Store = {
  async stat(url, signal) {
    const answer = await send("read", url, "HeadObjectCommand", {}, signal).catch(undefinedIfMissing);
    return answer === undefined ? undefined : { size: answer.ContentLength, etag: answer.ETag };
  },

  async open(url, { from, etag, signal }) {
    const part = from === 0 ? {} : { Range: `bytes=${from}-`, IfMatch: etag };
    const answer = await send("read", url, "GetObjectCommand", part, signal);
    const { ContentLength: length, Body: body = empty() } = answer;
    return { size: length === undefined ? undefined : length + from, etag: answer.ETag, body };
  },

  async write(url, content, signal) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(uploadSeconds(content.length) * 1000)]);
    const input = { Body: content, ContentType: contentTypeOf(url) };
    await send("write", url, "PutObjectCommand", input, limit);
  },

  async writeFile(url, path, signal) {
    const { size } = await fileStat(path);
    const file = await open(path);
    try {
      if (size <= partBytes) await s3Store.write(url, await file.readFile(), signal);
      else await writeParts(url, { size, read: (from, bytes) => readAt(file, from, bytes) }, signal);
    } finally {
      await file.close();
    }
  },

  async list(url, signal) {
    const { key } = s3Location(url);
    const prefix = key === "" || key.endsWith("/") ? key : `${key}/`;
    const found = new Map<string, StoredObject>();
    let token: string | undefined;
    do {
      const input = { Key: undefined, Prefix: prefix, ContinuationToken: token };
      const answer = await send("read", url, "ListObjectsV2Command", input, signal);
      for (const { Key = "", Size, ETag } of answer.Contents ?? [])
        if (!Key.endsWith("/")) found.set(Key.slice(prefix.length), { size: Size, etag: ETag });
      token = answer.NextContinuationToken;
    } while (token !== undefined);
    return found;
  },
};

/** Of an upload in parts; S3 takes 10,000 of them, and none but the last below 5 MiB. */
const partBytes = 64 * 2 ** 20;
const mostParts = 10_000;

interface Source {
  size: number;
  read(from: number, bytes: number): Promise<Uint8Array>;
}

/** The object is there when the last part is; an upload that fails is withdrawn. */
async function writeParts(url: string, { size, read }: Source, signal: AbortSignal): Promise<void> {
  const bytes = Math.max(partBytes, Math.ceil(size / mostParts));
  const created = { ContentType: contentTypeOf(url) };
  const { UploadId } = await send("write", url, "CreateMultipartUploadCommand", created, signal);
  try {
    const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
    for (let from = 0; from < size; from += bytes) {
      const Body = await read(from, Math.min(bytes, size - from));
      const PartNumber = Parts.length + 1;
      const limit = AbortSignal.any([signal, AbortSignal.timeout(uploadSeconds(Body.length) * 1000)]);
      const { ETag } = await send("write", url, "UploadPartCommand", { UploadId, PartNumber, Body }, limit);
      Parts.push({ PartNumber, ETag });
    }
    const input = { UploadId, MultipartUpload: { Parts } };
    await send("write", url, "CompleteMultipartUploadCommand", input, signal);
  } catch (error) {
    const withdrawn = send(
      "write",
      url,
      "AbortMultipartUploadCommand",
      { UploadId },
      AbortSignal.timeout(10_000),
    );
    await withdrawn.catch(() => {});
    throw error;
  }
}

async function readAt(
  file: Awaited<ReturnType<typeof open>>,
  from: number,
  bytes: number,
): Promise<Uint8Array> {
  const part = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(part, 0, bytes, from);
  return part.subarray(0, bytesRead);
}

async function* empty(): AsyncGenerator<Uint8Array> {}

async function send(
  attempt: Attempt,
  url: string,
  operation: Operation,
  input: object,
  signal: AbortSignal,
): Promise<S3Answer> {
  const { bucket, key } = s3Location(url);
  const { library, client } = await connect();
  const command = new library[operation]({ Bucket: bucket, Key: key, ...input });
  try {
    return await client.send(command, { abortSignal: signal });
  } catch (error) {
    if (signal.aborted && (signal.reason as Error | undefined)?.name !== "TimeoutError") throw signal.reason;
    throw described(attempt, url, error);
  }
}

let connection: Promise<{ library: S3Library; client: S3Client }> | undefined;

function connect(): Promise<{ library: S3Library; client: S3Client }> {
  connection ??= openConnection().catch((error: unknown) => {
    connection = undefined;
    throw error;
  });
  return connection;
}

async function openConnection(): Promise<{ library: S3Library; client: S3Client }> {
  const library = await loadLibrary();
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_DEFAULT_REGION = "us-east-1" } = process.env;
  const config = {
    maxAttempts: attempts,
    followRegionRedirects: true,
    // Servers other than AWS' have no name for each bucket.
    forcePathStyle: Boolean(AWS_ENDPOINT_URL_S3 || AWS_ENDPOINT_URL),
    requestHandler: { connectionTimeout: 10_000, socketTimeout: defaultStallSeconds * 1000 },
  };
  const client = new library.S3Client(config);
  // A region of the environment or the profile counts; the library itself asks for one where there is none.
  const hasRegion = await client.config.region().then(
    () => true,
    () => false,
  );
  return {
    library,
    client: hasRegion ? client : new library.S3Client({ ...config, region: AWS_DEFAULT_REGION }),
  };
}

async function loadLibrary(): Promise<S3Library> {
  try {
    return (await import(packageName)) as S3Library;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new ModalscopeError(
      "s3:// needs a package that is not installed.",
      "It is optional.",
      `Install it beside modalscope: npm install ${packageName}`,
    );
  }
}

interface S3Error extends Error {
  $metadata?: { httpStatusCode?: number };
}

class Missing extends ModalscopeError {}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof Missing) return undefined;
  throw error;
}

/** In words of its own: the library's errors may hold what was signed. */
function described(attempt: Attempt, url: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, $metadata } = error as S3Error;
  const status = $metadata?.httpStatusCode;
  const { bucket } = s3Location(url);
  switch (name) {
    case "NoSuchBucket":
      return refused(attempt, url, `There is no bucket ${bucket}.`, "See that it is spelt right.");
    case "NoSuchKey":
    case "NotFound":
      if (attempt === "write") return refused(attempt, url, "There is no such bucket.", "");
      return new Missing(...partsOf(notThere(url)));
    case "CredentialsProviderError":
      return refused(
        attempt,
        url,
        "There are no AWS credentials.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
      );
    case "InvalidAccessKeyId":
    case "SignatureDoesNotMatch":
    case "ExpiredToken":
    case "InvalidToken":
      return refused(attempt, url, `The AWS credentials are not valid (${name}).`, "Renew them.");
    case "PreconditionFailed":
      return refused(attempt, url, "It changed while it was read.", "Try again.");
    case "PermanentRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraintException":
      return refused(attempt, url, `The bucket ${bucket} is in another region.`, "Set AWS_REGION to it.");
  }
  if (status === 403)
    return refused(
      attempt,
      url,
      "The AWS credentials do not allow it, or it is not there (403).",
      "Ask the owner of the bucket.",
    );
  const network = networkReason(error);
  if (network !== undefined) return refused(attempt, url, network, "Try again later.");
  const code = [name, status].filter(Boolean).join(" ");
  return refused(attempt, url, `The server answered ${code || "with an error"}.`, "Try again later.");
}

function partsOf({ summary, reason, hint }: ModalscopeError): [string, string, string] {
  return [summary, reason, hint];
}
