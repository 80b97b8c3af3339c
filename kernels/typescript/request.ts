/** The content of Jupyter's requests, read with nothing taken for granted. */
import { fromCodePoints } from "./code-points.js";

export type Content = Record<string, unknown>;

/** A request that is not as the protocol says. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

/** @throws BadRequest when the field is not text. */
export function textIn(content: Content, field: string): string {
  const value = content[field];
  if (typeof value === "string") return value;
  throw new BadRequest(`The request's "${field}" must be text, not ${kindOf(value)}.`);
}

/** Code, and the offset of the cursor in it, which stands at the end where nothing else is said. */
export function codeAndCursor(content: Content): { code: string; cursor: number } {
  const code = textIn(content, "code");
  const position = content.cursor_pos ?? code.length;
  if (typeof position !== "number" || Number.isNaN(position))
    throw new BadRequest(`The request's "cursor_pos" must be a number, not ${kindOf(position)}.`);
  return { code, cursor: fromCodePoints(code, Math.max(0, position)) };
}

/** @throws BadRequest when it is not an object of texts. */
export function userExpressionsIn(content: Content): [name: string, expression: string][] {
  const expressions = content.user_expressions ?? {};
  if (typeof expressions !== "object" || Array.isArray(expressions))
    throw new BadRequest(`The request's "user_expressions" must be an object, not ${kindOf(expressions)}.`);
  return Object.keys(expressions).map((name) => [name, textIn(expressions as Content, name)]);
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
}

export function errorContent(error: unknown): {
  status: "error";
  ename: string;
  evalue: string;
  traceback: string[];
} {
  const [ename, evalue] = error instanceof Error ? [error.name, error.message] : ["Error", String(error)];
  return { status: "error", ename, evalue, traceback: [`${ename}: ${evalue}`] };
}
