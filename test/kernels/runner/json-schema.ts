/** Checks a value against a JSON schema (draft 4), as far as nbformat's needs it; other keywords are errors. */

type Schema = Record<string, unknown>;

/** Faults, each with its place; empty when the value is valid. */
export function schemaErrors(value: unknown, schema: Schema, root: Schema = schema, at = ""): string[] {
  const errors: string[] = [];
  for (const [keyword, rule] of Object.entries(schema)) {
    const check = keywords[keyword];
    if (check === undefined) throw new Error(`The schema's keyword "${keyword}" is not known here.`);
    errors.push(...check({ value, rule, schema, root, at }));
  }
  return errors;
}

interface Check {
  value: unknown;
  rule: unknown;
  schema: Schema;
  root: Schema;
  at: string;
}

const nothing = (): string[] => [];
const when = (wrong: boolean, at: string, text: string): string[] => (wrong ? [`${at || "/"}: ${text}`] : []);

const keywords: Record<string, (check: Check) => string[]> = {
  $schema: nothing,
  description: nothing,
  definitions: nothing,
  // Not keywords: slips in nbformat's schema, which validators pass over.
  item: nothing,
  source_hidden: nothing,
  outputs_hidden: nothing,
  properties: objectErrors,
  patternProperties: (check) => (Object.hasOwn(check.schema, "properties") ? [] : objectErrors(check)),
  additionalProperties: ({ schema, ...check }) =>
    Object.hasOwn(schema, "properties") || Object.hasOwn(schema, "patternProperties")
      ? []
      : objectErrors({ schema, ...check }),
  type({ value, rule, at }) {
    const types = [rule].flat() as string[];
    return when(!types.some((type) => isType(value, type)), at, `is no ${types.join(" or ")}`);
  },
  enum: ({ value, rule, at }) =>
    when(!(rule as unknown[]).includes(value), at, `is none of ${JSON.stringify(rule)}`),
  minimum: ({ value, rule, at }) =>
    when(typeof value === "number" && value < (rule as number), at, `is below ${rule}`),
  maximum: ({ value, rule, at }) =>
    when(typeof value === "number" && value > (rule as number), at, `is above ${rule}`),
  minLength: ({ value, rule, at }) =>
    when(typeof value === "string" && value.length < (rule as number), at, "is too short"),
  maxLength: ({ value, rule, at }) =>
    when(typeof value === "string" && value.length > (rule as number), at, "is too long"),
  pattern: ({ value, rule, at }) =>
    when(typeof value === "string" && !new RegExp(rule as string).test(value), at, `does not match ${rule}`),
  uniqueItems: ({ value, at }) =>
    when(Array.isArray(value) && new Set(value).size < value.length, at, "has something twice"),
  items: ({ value, rule, root, at }) =>
    Array.isArray(value)
      ? value.flatMap((one, i) => schemaErrors(one, rule as Schema, root, `${at}/${i}`))
      : [],
  required: ({ value, rule, at }) =>
    isObject(value)
      ? (rule as string[]).flatMap((name) => when(!Object.hasOwn(value, name), at, `has no ${name}`))
      : [],
  oneOf({ value, rule, root, at }) {
    const results = (rule as Schema[]).map((one) => schemaErrors(value, one, root, at));
    const valid = results.filter((errors) => errors.length === 0).length;
    return valid === 1 ? [] : [`${at}: is valid by ${valid} of ${results.length}`, ...results.flat()];
  },
  not: ({ value, rule, root, at }) =>
    when(schemaErrors(value, rule as Schema, root, at).length === 0, at, "is what it must not be"),
  $ref({ value, rule, root, at }) {
    const found = (rule as string)
      .slice(2)
      .split("/")
      .reduce<unknown>((schema, name) => (schema as Schema)[name], root);
    return schemaErrors(value, found as Schema, root, at);
  },
};

/** `properties`, `patternProperties` and `additionalProperties` go together. */
function objectErrors({ value, schema, root, at }: Check): string[] {
  if (!isObject(value)) return [];
  const {
    properties = {},
    patternProperties = {},
    additionalProperties = true,
  } = schema as Record<string, Schema>;
  return Object.entries(value).flatMap(([name, one]) => {
    const patterns = Object.entries(patternProperties).filter(([pattern]) => new RegExp(pattern).test(name));
    const rules = [
      ...(Object.hasOwn(properties, name) ? [properties[name]] : []),
      ...patterns.map(([, rule]) => rule),
    ];
    if (rules.length === 0) {
      if ((additionalProperties as unknown) === false) return [`${at}: has ${name}`];
      if (isObject(additionalProperties)) rules.push(additionalProperties);
    }
    return rules.flatMap((rule) => schemaErrors(one, rule as Schema, root, `${at}/${name}`));
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isType(value: unknown, type: string): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}
