/**
 * Private copies of the built-ins that the process of the cells needs from one cell to the next. A cell may replace or
 * remove any of the global ones (`JSON.stringify = …`, `Array.prototype.map = …`), and must still end with a reply.
 *
 * Code that runs beside cells takes what it needs from here, walks arrays by index (`for … of` and spread call what lies on
 * `Array.prototype`), awaits promises (`.then` is looked up) and keeps maps as {@link SafeMap}.
 */

import { StringDecoder } from "node:string_decoder";

type Method = (...args: never[]) => unknown;

/** A method as a function whose first argument is `this`. */
const uncurryThis: <M extends Method>(
  method: M,
) => (self: ThisParameterType<M> extends never ? unknown : unknown, ...args: Parameters<M>) => ReturnType<M> =
  Function.prototype.bind.bind(Function.prototype.call) as never;

export const NativePromise: PromiseConstructor = Promise;
export const NativeError: ErrorConstructor = Error;
export const NativeTypeError: TypeErrorConstructor = TypeError;
export const NativeSyntaxError: SyntaxErrorConstructor = SyntaxError;
export const NativeUint8Array: Uint8ArrayConstructor = Uint8Array;
export const NativeAbortController: typeof AbortController = AbortController;

export const keys: typeof Object.keys = Object.keys;
export const hasOwn: typeof Object.hasOwn = Object.hasOwn;
export const is: typeof Object.is = Object.is;
export const getPrototypeOf: typeof Object.getPrototypeOf = Object.getPrototypeOf;
export const setPrototypeOf: typeof Object.setPrototypeOf = Object.setPrototypeOf;
export const defineProperty: typeof Object.defineProperty = Object.defineProperty;
export const defineProperties: typeof Object.defineProperties = Object.defineProperties;
export const getOwnPropertyDescriptors: typeof Object.getOwnPropertyDescriptors =
  Object.getOwnPropertyDescriptors;
export const getOwnPropertyDescriptor: typeof Object.getOwnPropertyDescriptor =
  Object.getOwnPropertyDescriptor;
export const getOwnPropertyNames: typeof Object.getOwnPropertyNames = Object.getOwnPropertyNames;
export const deleteProperty: typeof Reflect.deleteProperty = Reflect.deleteProperty;
export const toObject: ObjectConstructor = Object;
export const objectPrototype: object = Object.prototype;
export const arrayPrototype: object = Array.prototype;
export const apply: typeof Reflect.apply = Reflect.apply;
export const isArray: typeof Array.isArray = Array.isArray;
export const stringify: typeof JSON.stringify = JSON.stringify;
export const parseJson: typeof JSON.parse = JSON.parse;
export const toText: StringConstructor = String;
export const min: typeof Math.min = Math.min;
export const max: typeof Math.max = Math.max;

export const stringIncludes: (text: string, part: string) => boolean = uncurryThis(String.prototype.includes);
export const stringStartsWith: (text: string, part: string) => boolean = uncurryThis(
  String.prototype.startsWith,
);
export const stringEndsWith: (text: string, part: string) => boolean = uncurryThis(String.prototype.endsWith);
export const stringIndexOf: (text: string, part: string, from?: number) => number = uncurryThis(
  String.prototype.indexOf,
);
export const stringSlice: (text: string, start?: number, end?: number) => string = uncurryThis(
  String.prototype.slice,
);
export const stringPadStart: (text: string, length: number) => string = uncurryThis(
  String.prototype.padStart,
);
export const stringRepeat: (text: string, count: number) => string = uncurryThis(String.prototype.repeat);
export const stringTrimEnd: (text: string) => string = uncurryThis(String.prototype.trimEnd);
export const stringCharCode: (text: string, at: number) => number = uncurryThis(String.prototype.charCodeAt);
/** The built-in `exec` looks nothing up on `RegExp.prototype` when it is called itself. */
export const regExpExec: (pattern: RegExp, text: string) => RegExpExecArray | null = uncurryThis(
  RegExp.prototype.exec,
);
export const errorText: (error: Error) => string = uncurryThis(Error.prototype.toString);
export const abort: (controller: AbortController, reason: unknown) => void = uncurryThis(
  AbortController.prototype.abort,
);
export const setBytes: (into: Uint8Array, bytes: Uint8Array, offset: number) => void = uncurryThis(
  Uint8Array.prototype.set,
);

const encoder = new TextEncoder();
const encode = uncurryThis(TextEncoder.prototype.encode);
export const encodeUtf8 = (text: string): Uint8Array => encode(encoder, text);

const { from } = Buffer;
export const copyBytes = (bytes: Uint8Array): Buffer => from(bytes);
export const decodeChunk: (decoder: StringDecoder, bytes: Buffer) => string = uncurryThis(
  StringDecoder.prototype.write,
);
const bufferToString = uncurryThis(Buffer.prototype.toString);
export const bytesFrom = (text: string, encoding: BufferEncoding): Buffer => from(text, encoding);
export const base64Of = (bytes: Uint8Array): string =>
  bufferToString(from(bytes.buffer, bytes.byteOffset, bytes.byteLength), "base64");

/** A class whose instances find its methods on a prototype of its own, which cells do not reach. */
function sealed<C extends abstract new (...args: never[]) => object>(Class: C, Base: C): C {
  const { constructor: _, ...methods } = Object.getOwnPropertyDescriptors(Base.prototype);
  Object.defineProperties(Class.prototype, methods);
  Object.setPrototypeOf(Class.prototype, null);
  return Class;
}

/** A Map that cells cannot change. Fill it by `set`: to pass entries would iterate. */
export const SafeMap: new <K, V>() => Map<K, V> = sealed(
  class<K, V> extends Map<K, V> {
    // biome-ignore lint/complexity/noUselessConstructor: the default one spreads its arguments.
    constructor() {
      super();
    }
  },
  Map,
);

/** Gives what `compute` returns, or the fallback when it throws: for what cells may have made unreadable. */
export function attempt<T>(compute: () => T, fallback: T): T {
  try {
    return compute();
  } catch {
    return fallback;
  }
}

/** JSON text that goes into a frame as it is. */
export class JsonText {
  constructor(readonly text: string) {}
}

/** Plain data as JSON. Unlike `JSON.stringify` it calls no `toJSON`, which cells may put on the built-ins' prototypes. */
export function jsonOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value !== "object") return stringify(value);
  if (value instanceof JsonText) return value.text;
  let text = "";
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) text += `${i === 0 ? "" : ","}${jsonOf(value[i])}`;
    return `[${text}]`;
  }
  const names = keys(value);
  for (let i = 0; i < names.length; i++) {
    const item = (value as Record<string, unknown>)[names[i]];
    if (item !== undefined) text += `${text === "" ? "" : ","}${stringify(names[i])}:${jsonOf(item)}`;
  }
  return `{${text}}`;
}
