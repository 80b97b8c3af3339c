import { ModalscopeError } from "../../errors.js";

/**
 * Refuses what is no prompt, for callers whose prompts come from JSON or plain JavaScript.
 * @throws ModalscopeError saying which part of prompt `row` it is, and what it must be
 */
export function checkPrompt(prompt: unknown, row: number): void {
  const refused = (what: string, wanted: string): ModalscopeError =>
    new ModalscopeError(`Prompt ${row} cannot be read: ${what}.`, "", wanted);
  if (typeof prompt === "string") return;
  if (Array.isArray(prompt)) {
    if (prompt.length === 0) throw refused("it is an empty list", PROMPT);
    for (const [i, message] of prompt.entries()) {
      const reason = messageProblem(message);
      if (reason) throw refused(`message ${i} ${reason}`, MESSAGE);
    }
    return;
  }
  if (!isObject(prompt)) throw refused(`it is ${kind(prompt)}`, PROMPT);
  if (typeof prompt.text !== "string") throw refused(`its text is ${kind(prompt.text)}`, PROMPT);
  if (!Array.isArray(prompt.images))
    throw refused(`its images are ${kind(prompt.images)}, not a list`, PROMPT);
}

const PROMPT = "Give a string, { text, images: [image] }, or a list of messages.";
const MESSAGE =
  'A message is { role, content }: content a string or a list of { type: "text", text } and { type: "image", image }.';

function messageProblem(message: unknown): string | undefined {
  if (!isObject(message)) return `is ${kind(message)}`;
  const { role, content, ...others } = message;
  const dropped = Object.keys(others).find((name) => others[name] !== undefined);
  if (dropped !== undefined)
    return `has ${JSON.stringify(dropped.slice(0, 60))}, which no template would be given`;
  if (typeof role !== "string") return `has as its role ${kind(role)}`;
  if (typeof content === "string") return undefined;
  if (!Array.isArray(content)) return `has as its content ${kind(content)}`;
  const wrong = content.findIndex((part) => !isPart(part));
  if (wrong === -1) return undefined;
  const part: unknown = content[wrong];
  const type = isObject(part) ? `of the type ${JSON.stringify(part.type)?.slice(0, 60)}` : kind(part);
  return `has a part ${wrong} ${type} that is not known`;
}

const isPart = (part: unknown): boolean =>
  isObject(part) &&
  ((part.type === "text" && typeof part.text === "string") || (part.type === "image" && "image" in part));

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

function kind(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
