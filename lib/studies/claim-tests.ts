import { ModalscopeError } from "../errors.js";
import type { Claim, Test } from "./claims.js";
import type { Evidence, Untestable } from "./evidence.js";

/** The tests of one claim, by name. */
export type TestOf = (name: string) => Test;

/** Evidence by test, or why there can be none. */
export type Found = Readonly<Record<string, Evidence | Untestable>> | Untestable;

/** Evidence for each of a claim's tests, from the part that it rests on. */
export type ClaimRule<Part> = (part: Part, test: TestOf) => Found;

/** Rules by claim. */
export type ClaimRules<Part> = Readonly<Record<string, ClaimRule<Part>>>;

/** @throws ModalscopeError for a test that the claim has not. */
export function testsOf(claim: Claim): TestOf {
  return (name) => {
    const test = claim.tests.get(name);
    if (test) return test;
    throw new ModalscopeError(
      `The claim "${claim.id}" has no test "${name}".`,
      `It has ${[...claim.tests.keys()].join(", ")}.`,
    );
  };
}
