import { inspect, types } from "node:util";
import type { Display } from "../../../lib/display.js";
import type { DisplayContent, MimeBundle } from "../../protocol/index.js";
import {
  apply,
  attempt,
  base64Of,
  JsonText,
  keys,
  NativeTypeError,
  stringEndsWith,
  stringIncludes,
  stringify,
  toObject,
} from "../intrinsics.js";
import { sendOutput } from "./runs.js";

export const display: Display = {
  display(bundle, { metadata = {}, displayId } = {}) {
    const content: DisplayContent = { data: wireBundle(bundle), metadata: wireMetadata(metadata) };
    if (displayId !== undefined) content.transient = { display_id: checkedId(displayId) };
    sendOutput({ type: "display_data", content });
  },
  update(displayId, bundle, metadata = {}) {
    const transient = { display_id: checkedId(displayId) };
    const content = { data: wireBundle(bundle), metadata: wireMetadata(metadata), transient };
    sendOutput({ type: "update_display_data", content });
  },
  clear(wait = false) {
    sendOutput({ type: "clear_output", content: { wait: wait === true } });
  },
};

/**
 * Jupyter's form of a bundle: bytes in base64, text as text, JSON types as JSON.
 * @throws TypeError for what the protocol cannot carry.
 */
function wireBundle(bundle: MimeBundle): MimeBundle {
  if (bundle === null || typeof bundle !== "object")
    throw new NativeTypeError(`A MIME bundle is an object of MIME types and their values, not ${bundle}.`);
  const wire: MimeBundle = {};
  const mimeTypes = keys(bundle);
  for (let i = 0; i < mimeTypes.length; i++) {
    const type = mimeTypes[i];
    const value = bundle[type];
    if (!stringIncludes(type, "/"))
      throw new NativeTypeError(`A MIME bundle's keys are MIME types; '${type}' is not a MIME type.`);
    if (types.isUint8Array(value)) wire[type] = base64Of(value);
    else if (isJsonType(type)) wire[type] = wireJson(value, `The MIME bundle's '${type}'`);
    else if (typeof value === "string") wire[type] = value;
    else throw new NativeTypeError(`The MIME bundle's '${type}' must be text or bytes, not ${typeof value}.`);
  }
  return wire;
}

function wireMetadata(metadata: unknown): Record<string, unknown> {
  if (metadata === null || typeof metadata !== "object")
    throw new NativeTypeError(`A display's metadata is an object, not ${typeof metadata}.`);
  return wireJson(metadata, "A display's metadata") as unknown as Record<string, unknown>;
}

function wireJson(value: unknown, what: string): JsonText {
  let text: string | undefined;
  try {
    text = stringify(value);
  } catch (error) {
    throw new NativeTypeError(`${what} cannot be written as JSON.`, { cause: error });
  }
  if (text === undefined)
    throw new NativeTypeError(`${what} cannot be written as JSON: it is ${typeof value}.`);
  return new JsonText(text);
}

function checkedId(displayId: unknown): string {
  if (typeof displayId === "string") return displayId;
  throw new NativeTypeError(`A display's id is text, not ${typeof displayId}.`);
}

function isJsonType(type: string): boolean {
  return type === "application/json" || stringEndsWith(type, "+json");
}

const displayMethod = Symbol.for("Jupyter.display");

/**
 * A cell's last value: by its own `Symbol.for("Jupyter.display")` method, which may be async, else as Node would
 * print it. A method that fails is said so, and the value is shown as text.
 */
export async function resultBundle(value: unknown): Promise<MimeBundle> {
  const method = attempt(() => (toObject(value) as Record<symbol, unknown>)[displayMethod], undefined);
  try {
    if (typeof method === "function") return wireBundle((await apply(method, value, [])) as MimeBundle);
  } catch (error) {
    const reason = attempt(() => inspect(error), "an error that cannot be shown");
    const text = `The value's display method failed, so it is shown as text: ${reason}\n`;
    sendOutput({ type: "stream", content: { name: "stderr", text } });
  }
  return { "text/plain": attempt(() => inspect(value), `(a value that cannot be shown: ${typeof value})`) };
}
