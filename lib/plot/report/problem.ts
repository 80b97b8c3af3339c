/** Message in place of something that cannot be shown. */
import { escapeHtml } from "../../escape.js";

/** @param what it is, such as "output"; @param reason as a sentence */
export function problemHtml(what: string, reason: string): string {
  return `<pre class="text problem">${escapeHtml(`This ${what} cannot be shown. ${reason}`)}</pre>`;
}

/** The markup that `make` gives; where it throws, the reason in its place, so that the rest of the page stands. */
export function guarded(what: string, make: () => string): string {
  try {
    return make();
  } catch (error) {
    return problemHtml(what, reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return /call stack/.test(error.message)
    ? "It is nested too deeply."
    : `${error.message.replace(/\.?$/, ".")}`;
}
