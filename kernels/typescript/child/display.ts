import { inspect } from "node:util";
import type { DisplayContent, MimeBundle } from "../../protocol/outputs.js";
import { sendOutput } from "./runs.js";

/** What `globalThis[Symbol.for("modalscope.display")]` is in a cell. */
export interface Display {
  /** Shows a MIME bundle; with a `displayId` it can be updated later. */
  display(bundle: MimeBundle, options?: { metadata?: Record<string, unknown>; displayId?: string }): void;
  update(displayId: string, bundle: MimeBundle, metadata?: Record<string, unknown>): void;
  /** Clears the cell's output; with `wait`, only when the next output comes. */
  clear(wait?: boolean): void;
}

export const display: Display = {
  display(bundle, { metadata = {}, displayId } = {}) {
    const content: DisplayContent = { data: wireBundle(bundle), metadata };
    if (displayId !== undefined) content.transient = { display_id: displayId };
    sendOutput({ type: "display_data", content });
  },
  update(displayId, bundle, metadata = {}) {
    const content = { data: wireBundle(bundle), metadata, transient: { display_id: displayId } };
    sendOutput({ type: "update_display_data", content });
  },
  clear(wait = false) {
    sendOutput({ type: "clear_output", content: { wait } });
  },
};

/** Jupyter's form of a bundle: bytes in base64, text as text, JSON types as JSON. */
function wireBundle(bundle: MimeBundle): MimeBundle {
  const wire: MimeBundle = {};
  for (const [type, value] of Object.entries(bundle)) {
    if (!type.includes("/")) throw new TypeError(`A MIME bundle's keys are MIME types; '${type}' is none.`);
    if (value instanceof Uint8Array) wire[type] = Buffer.from(value).toString("base64");
    else if (isJsonType(type) || typeof value === "string") wire[type] = value;
    else throw new TypeError(`The MIME bundle's '${type}' must be text or bytes, not ${typeof value}.`);
  }
  return wire;
}

function isJsonType(type: string): boolean {
  return type === "application/json" || type.endsWith("+json");
}

const displayMethod = Symbol.for("Jupyter.display");

/** A cell's last value: by its own `Symbol.for("Jupyter.display")` method, else as Node would print it. */
export function resultBundle(value: unknown): MimeBundle {
  const method = (Object(value) as Record<symbol, unknown>)[displayMethod];
  if (typeof method === "function") return wireBundle(method.call(value) as MimeBundle);
  return { "text/plain": inspect(value) };
}
