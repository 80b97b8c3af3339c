import { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
// Not the global one, which belongs to the cells (runs.ts).
import { setTimeout as nativeTimeout } from "node:timers";
import {
  bytesFrom,
  copyBytes,
  decodeChunk,
  NativeError,
  NativePromise,
  SafeMap,
  toText,
} from "../intrinsics.js";
import { report } from "./pipe.js";
import { currentRun, sendOutput } from "./runs.js";

const nextTick = process.nextTick;

/** Sends JavaScript's output as the cell's. (Native output comes by the real pipes.) */
export function captureStreams(): void {
  capture(process.stdout, "stdout");
  capture(process.stderr, "stderr");
}

function capture(stream: NodeJS.WriteStream, name: "stdout" | "stderr"): void {
  const decoder = new StringDecoder("utf8");
  const write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    const encoding = typeof rest[0] === "string" ? (rest[0] as BufferEncoding) : "utf8";
    const bytes = typeof chunk === "string" && encoding !== "utf8" ? bytesFrom(chunk, encoding) : chunk;
    const text = typeof bytes === "string" ? bytes : decodeChunk(decoder, copyBytes(bytes));
    if (text !== "") sendOutput({ type: "stream", content: { name, text } });
    const done = rest[rest.length - 1];
    if (typeof done === "function") nextTick(done as () => void);
    return true;
  };
  stream.write = write as typeof stream.write;
}

/** Shows Node's warnings, but for those that the kernel itself causes. */
export function captureWarnings(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (/USE_MAIN_CONTEXT_DEFAULT_LOADER/.test(warning.message)) return;
    process.stderr.write(`${warning.name}: ${warning.message}\n`);
  });
}

const waiting = new SafeMap<number, { resolve(value: string): void; reject(error: Error): void }>();
let nextRequest = 0;

/** Asks the person at the client for a line; rejects where nobody can answer. */
export function input(prompt = "", password = false): Promise<string> {
  return new NativePromise((resolve, reject) => {
    const request = nextRequest++;
    waiting.set(request, { resolve, reject });
    report({
      type: "input_request",
      run: currentRun()?.id ?? 0,
      request,
      prompt: toText(prompt),
      password: password === true,
    });
  });
}

export function answerInput(request: number, value: string | undefined, error: string | undefined): void {
  const asked = waiting.get(request);
  waiting.delete(request);
  if (value !== undefined) asked?.resolve(value);
  else asked?.reject(new NativeError(error ?? "No input came."));
}

let stdin: Readable | undefined;

/** `process.stdin` asks the client for a line whenever it is read, so that `readline` works. It ends with the cell. */
export function connectStdin(): void {
  Object.defineProperty(process, "stdin", {
    configurable: true,
    get: () => {
      if (stdin === undefined || stdin.destroyed) stdin = createStdin();
      return stdin;
    },
  });
}

/** Ends the stream with its cell, so that a later cell that still reads it does not wait forever. */
export function endStdin(): void {
  stdin?.push(null);
  stdin = undefined;
}

/** A stream that flows is read again as soon as it has given a line: only a cell that waits for the next one asks. */
const readAgainMs = 50;

function createStdin(): Readable {
  const stream = new Readable({
    read() {
      nativeTimeout(() => {
        if (stream !== stdin) return;
        input().then(
          (line) => stream === stdin && stream.push(`${line}\n`),
          (error) => stream.destroy(error),
        );
      }, readAgainMs);
    },
  });
  return Object.assign(stream, { fd: 0, isTTY: false });
}
