import { ModalscopeError } from "../../errors.js";
import { checkPrompt } from "./check-prompt.js";
import type { Prompt } from "./prompts.js";

/** True for one prompt, and not a list of them: a text, a text with images, or a conversation. */
export function isPrompt(x: Prompt | readonly Prompt[]): x is Prompt {
  if (!Array.isArray(x)) return true;
  const first: unknown = x[0];
  return typeof first === "object" && first !== null && "role" in first;
}

/**
 * Prompts as a list, for functions that take some of them at a time: a text would be cut as a list is.
 * @throws ModalscopeError for what is neither a prompt nor a list of some
 */
export function promptList(where: string, prompts: Prompt | readonly Prompt[]): readonly Prompt[] {
  const list = isPrompt(prompts) ? [prompts] : prompts;
  if (list.length === 0) throw new ModalscopeError(`${where} is given no prompts.`, "The list is empty.");
  for (const [row, prompt] of list.entries()) checkPrompt(prompt, row);
  return list;
}
