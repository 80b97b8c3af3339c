/** Code as HTML with its syntax coloured. */
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import typescript from "highlight.js/lib/languages/typescript";
import yaml from "highlight.js/lib/languages/yaml";
import { escapeHtml } from "../../escape.js";

for (const [name, language] of Object.entries({ bash, json, python, typescript, yaml }))
  hljs.registerLanguage(name, language);

/** `code` as markup for a `<code>` element; only escaped where the language is not known. */
export function codeHtml(code: string, language: string): string {
  return hljs.getLanguage(language)
    ? hljs.highlight(code, { language, ignoreIllegals: true }).value
    : escapeHtml(code);
}
