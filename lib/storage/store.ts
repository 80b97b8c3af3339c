/** Operations that every protocol has for the objects of its URLs. */
/** Facts about an object. */
export interface StoredObject {
  /** Bytes; undefined where the server does not say. */
  readonly size: number | undefined;
  /** Changes with the content; undefined where the server gives none. */
  readonly etag: string | undefined;
}

export interface OpenObject extends StoredObject {
  /** The content from the asked byte on. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface OpenRequest {
  /** First byte; the object must then still have this ETag. */
  readonly from: number;
  readonly etag: string | undefined;
  readonly signal: AbortSignal;
}

/** A protocol. All reject with a ModalscopeError; retries within are their own. */
export interface Store {
  /** Undefined when there is no such object. */
  stat(url: string, signal: AbortSignal): Promise<StoredObject | undefined>;
  open(url: string, request: OpenRequest): Promise<OpenObject>;
  /** Replaces an object as a whole: a call that is cut short leaves the old one. */
  write(url: string, content: Uint8Array, signal: AbortSignal): Promise<void>;
  /** The same from a file, in parts where it is large. */
  writeFile(url: string, path: string, signal: AbortSignal): Promise<void>;
  /** All objects below a folder by their names in it; undefined where the protocol cannot tell. */
  list?(url: string, signal: AbortSignal): Promise<Map<string, StoredObject>>;
}

/** Attempts of a request that fails for a reason that may pass. */
export const attempts = 4;

/** Seconds for a server to answer, and between two pieces of an answer. */
export const defaultStallSeconds = 60;

/** Seconds that an upload may take: its start, and what the slowest of useful lines carries. */
export function uploadSeconds(bytes: number): number {
  return defaultStallSeconds + Math.ceil(bytes / 100_000);
}

/** An error for which the same request may succeed later. */
export class PassingError extends Error {
  constructor(
    message: string,
    /** Asked for by the server. */
    readonly waitSeconds: number = 0,
  ) {
    super(message);
  }
}
