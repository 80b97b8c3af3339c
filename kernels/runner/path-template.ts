import { randomUUID } from "node:crypto";
import { didYouMean, ModalscopeError } from "../../lib/errors.js";
import type { Parameters, ParameterValue } from "./parameters/values.js";

/**
 * Fills `{name}` in a path from the parameters, in papermill's manner: `{name[key]}` goes into a list or an object,
 * `{pm[run_uuid]}`, `{pm[current_datetime_utc]}` and `{pm[current_datetime_local]}` are there always, `{{` and `}}`
 * are braces.
 * @throws ModalscopeError when a name is not among the parameters.
 */
export function fillPath(template: string, parameters: Parameters): string {
  const values: Parameters = { pm: builtIn(new Date()), ...parameters };
  return template.replace(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g, (text, field: string | undefined) => {
    if (text === "{{" || text === "}}") return text[0];
    if (field === undefined) {
      throw new ModalscopeError(
        `The path ${template} has a single "${text}".`,
        "A name between braces stands for a parameter.",
        `Write "${text}${text}" for the sign itself.`,
      );
    }
    return pathText(lookUp(field, values, template));
  });
}

/** Whether a path has a name to fill. */
export function isTemplate(path: string): boolean {
  return /\{[^{}]*\}/.test(path.replace(/\{\{|\}\}/g, ""));
}

function builtIn(now: Date): ParameterValue {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return {
    run_uuid: randomUUID(),
    current_datetime_utc: dateText(now),
    current_datetime_local: dateText(local),
  };
}

/** Without colons, which not all systems have in names. */
function dateText(date: Date): string {
  return date.toISOString().slice(0, 19).replaceAll(":", "-");
}

function lookUp(field: string, values: Parameters, template: string): ParameterValue {
  const match = /^([^[\].:!]+)((?:\[[^[\]]+\])*)$/.exec(field);
  if (match === null) {
    throw new ModalscopeError(
      `Cannot read {${field}} in the path ${template}.`,
      "",
      "Write {name}, or {name[key]} for a part of a parameter.",
    );
  }
  const [, name, keys] = match;
  let value = part(values, name, name, template);
  for (const [, key] of keys.matchAll(/\[([^[\]]+)\]/g)) value = part(value, key, field, template);
  return value;
}

function part(value: ParameterValue, key: string, field: string, template: string): ParameterValue {
  const parts = typeof value === "object" && value !== null ? Object.keys(value) : [];
  if (parts.includes(key)) return (value as Parameters)[key];
  const known = parts.filter((name) => name !== "pm");
  throw new ModalscopeError(
    `The path ${template} asks for {${field}}, and there is no "${key}".`,
    known.length === 0 ? "No parameters were given." : `There is ${known.join(", ")}.`,
    didYouMean(key, known),
  );
}

function pathText(value: ParameterValue): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
