/** Reads a study's claims and says what is wrong with them. The file's text is data: looked up, bounded, never run. */
import { didYouMean, ModalscopeError } from "../errors.js";
import {
  type Checkpoint,
  type Claim,
  type GateRule,
  type Rule,
  type Study,
  type Test,
  VERDICTS,
  type Verdict,
} from "./claims.js";
import { type Fields, fieldsOf, listOf } from "./fields.js";
import { loadStudy } from "./load.js";
import { rangeOf } from "./rules.js";

/** Least numbers that the standard requires of compared rates. */
export const LEAST = { samples: 100, events: 30 } as const;

const MOST = { claims: 100, checkpoints: 30, tests: 8, kinds: 30, least: 1e6, limit: 1e6 } as const;
const ID = /^[a-z][A-Za-z0-9]{0,39}$/;

const QUANTITIES = ["rate", "mean", "trend", "depth", "statistic"] as const;
const AGAINST = [
  "control",
  "group",
  "null",
  "random sets",
  "random complements",
  "random contrasts",
] as const;
const ROLES = ["model", "null", "planted"] as const;

/**
 * The claims of an embedded study, `data/studies/<name>.json`.
 * @throws ModalscopeError when there is no such study, and as {@link readStudy} does.
 */
export function loadClaims(name: string): Study {
  return readStudy(loadStudy(name), name);
}

/**
 * Checks a study's `title`, `checkpoints` and `claims`; other fields are the study's own.
 * @param json the parsed file. @param name for messages.
 * @throws ModalscopeError at the first thing that is wrong, with its place in the file.
 */
export function readStudy(json: unknown, name: string): Study {
  const file = fieldsOf(json, name);
  const checkpoints = listOf(file.get("checkpoints"), `${name}.checkpoints`, MOST.checkpoints).map(
    (entry, i) => readCheckpoint(fieldsOf(entry, `${name}.checkpoints[${i}]`)),
  );
  distinct(checkpoints, `${name}.checkpoints`);
  if (checkpoints.filter(({ role }) => role === "model").length !== 1)
    throw new ModalscopeError(`${name}.checkpoints: exactly one has the role "model".`);
  const claims = listOf(file.get("claims"), `${name}.claims`, MOST.claims).map((entry, i) =>
    readClaim(fieldsOf(entry, `${name}.claims[${i}]`), checkpoints),
  );
  distinct(claims, `${name}.claims`);
  return { name, title: file.text("title"), checkpoints, claims };
}

function readCheckpoint(from: Fields): Checkpoint {
  from.only(["id", "role", "name", "says"]);
  return {
    id: readId(from),
    role: from.oneOf("role", ROLES),
    name: from.text("name"),
    says: from.text("says"),
  };
}

function readClaim(from: Fields, checkpoints: readonly Checkpoint[]): Claim {
  from.only(["id", "says", "quote", "where", "headline", "gate", "tests", "nulls", "planted"]);
  const id = readId(from);
  const quoted = { says: from.text("says"), quote: from.text("quote"), where: from.text("where") };
  const tests = new Map(
    from.entries("tests", MOST.tests).map(([test, value]) => {
      if (!ID.test(test)) throw new ModalscopeError(`${from.at}.tests: "${test}" is not a name of a test.`);
      return [test, readTest(fieldsOf(value, `${from.at}.tests.${test}`))];
    }),
  );
  if (![...tests.values()].some(({ precondition }) => !precondition))
    throw new ModalscopeError(
      `${from.at}.tests has none that is no precondition.`,
      "Nothing would judge the claim.",
    );
  const others = checkpoints.filter(({ role }) => role !== "model").map((own) => own.id);
  const nulls = from.texts("nulls", MOST.checkpoints);
  for (const null_ of nulls) known(null_, others, `${from.at}.nulls`);
  const planted = new Map(
    from.entries("planted", MOST.checkpoints).map(([key, value]): [string, Verdict] => {
      known(key, others, `${from.at}.planted`);
      return [key, fieldsOf({ [key]: value }, `${from.at}.planted`).oneOf(key, VERDICTS)];
    }),
  );
  checkBothWays(from.at, nulls, planted);
  return {
    id,
    ...quoted,
    headline: from.flag("headline"),
    gate: readGate(from),
    tests,
    nulls,
    planted,
  };
}

/** A claim needs something to fail on, and a planted case of either answer. */
function checkBothWays(at: string, nulls: readonly string[], planted: ReadonlyMap<string, Verdict>): void {
  if (nulls.length === 0)
    throw new ModalscopeError(
      `${at}.nulls is empty.`,
      "A rule that was never tried on nothing may support anything.",
      "Name a checkpoint that holds nothing of the claim.",
    );
  const expected = new Set(planted.values());
  for (const verdict of ["supported", "contradicted"] as const)
    if (!expected.has(verdict))
      throw new ModalscopeError(
        `${at}.planted has no checkpoint on which the claim is ${verdict}.`,
        "Every verdict must be able to go both ways.",
      );
  const both = nulls.find((id) => planted.get(id) === "supported");
  if (both)
    throw new ModalscopeError(`${at}: "${both}" is a null of the claim and is planted to support it.`);
}

function readTest(from: Fields): Test {
  from.only(["measures", "quantity", "rule", "precondition", "least"]);
  const quantity = from.oneOf("quantity", QUANTITIES);
  const rule = readRule(fieldsOf(from.get("rule"), `${from.at}.rule`));
  if ((rule.kind === "monotone") !== (quantity === "trend"))
    throw new ModalscopeError(
      `${from.at}: the rule "${rule.kind}" does not go with the quantity "${quantity}".`,
      'The rule "monotone" judges a "trend", and nothing else does.',
    );
  if ((quantity === "rate" || quantity === "depth") && rule.shareOf === undefined) {
    const far = Object.values(rangeOf(rule)).find((limit) => Number.isFinite(limit) && Math.abs(limit) > 1);
    if (far !== undefined)
      throw new ModalscopeError(
        `${from.at}.rule has the limit ${far}.`,
        `A ${quantity} and its differences lie between −1 and 1.`,
        "Write shares, not per cent.",
      );
  }
  return {
    measures: from.text("measures"),
    quantity,
    rule,
    precondition: from.flag("precondition"),
    least: readLeast(from, quantity),
  };
}

/** Fields of each kind of rule besides `kind`, `against` and `shareOf`, and what must hold of their numbers. */
const ruleFields: {
  readonly [K in Rule["kind"]]: (
    from: Fields,
  ) => Omit<Extract<Rule, { readonly kind: K }>, "against" | "shareOf">;
} = {
  above: (from) => ({ kind: "above", threshold: from.number("threshold", MOST.limit) }),
  below: (from) => ({ kind: "below", threshold: from.number("threshold", MOST.limit) }),
  between: (from) => {
    const [low, high] = [from.number("low", MOST.limit), from.number("high", MOST.limit)];
    if (low >= high) throw new ModalscopeError(`${from.at}: low ${low} is not below high ${high}.`);
    return { kind: "between", low, high };
  },
  equivalent: (from) => ({ kind: "equivalent", margin: positive(from, "margin") }),
  monotone: (from) => {
    const threshold = from.number("threshold", 1);
    if (threshold < 0) throw new ModalscopeError(`${from.at}.threshold is ${threshold}.`, "It is 0 or more.");
    return { kind: "monotone", direction: from.oneOf("direction", ["rising", "falling"]), threshold };
  },
};

function readRule(from: Fields): Rule {
  const kind = from.oneOf("kind", Object.keys(ruleFields) as Rule["kind"][]);
  const limits = ruleFields[kind](from);
  from.only([...Object.keys(limits), "against", "shareOf"]);
  const against = from.has("against") ? from.oneOf("against", AGAINST) : undefined;
  if (kind === "equivalent" && against === undefined)
    throw new ModalscopeError(
      `${from.at}: the rule "equivalent" does not say against what.`,
      "",
      'Add `against`, or use "between".',
    );
  const shareOf = from.has("shareOf") ? from.text("shareOf") : undefined;
  return { ...limits, ...(against ? { against } : {}), ...(shareOf ? { shareOf } : {}) } as Rule;
}

function readLeast(from: Fields, quantity: Test["quantity"]): Test["least"] {
  const standard = quantity === "rate" ? LEAST : { samples: 2, events: 0 };
  if (!from.has("least")) return standard;
  const own = fieldsOf(from.get("least"), `${from.at}.least`);
  own.only(["samples", "events"]);
  const atLeast = (key: "samples" | "events"): number => {
    if (!own.has(key)) return standard[key];
    const value = own.number(key, MOST.least);
    if (!(Number.isInteger(value) && value >= standard[key]))
      throw new ModalscopeError(
        `${own.at}.${key} is ${value}.`,
        `The standard asks for ${standard[key]} or more.`,
      );
    return value;
  };
  return { samples: atLeast("samples"), events: atLeast("events") };
}

function readGate(from: Fields): GateRule {
  if (Array.isArray(from.get("gate"))) {
    const kinds = from.texts("gate", MOST.kinds);
    if (kinds.length === 0) throw new ModalscopeError(`${from.at}.gate is empty.`, "", 'Write "none".');
    return kinds;
  }
  return from.oneOf("gate", ["none", "any"] as const);
}

function readId(from: Fields): string {
  const id = from.text("id");
  if (!ID.test(id))
    throw new ModalscopeError(
      `${from.at}.id is ${JSON.stringify(id)}.`,
      "An id is a small letter and up to 39 letters and digits.",
    );
  return id;
}

function positive(from: Fields, key: string): number {
  const value = from.number(key, MOST.limit);
  if (value <= 0) throw new ModalscopeError(`${from.at}.${key} is ${value}.`, "It is above 0.");
  return value;
}

function known(id: string, ids: readonly string[], at: string): void {
  if (!ids.includes(id))
    throw new ModalscopeError(
      `${at}: there is no checkpoint "${id}" besides the model.`,
      `There are ${ids.join(", ") || "none"}.`,
      didYouMean(id, ids),
    );
}

function distinct(entries: readonly { readonly id: string }[], at: string): void {
  const ids = entries.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice) throw new ModalscopeError(`${at}: the id "${twice}" stands twice.`);
}
