/** From measurements to evidence for the document's claims. */

import { ModalscopeError } from "../../errors.js";
import type { ClaimEvidence, Study, Untestable } from "../index.js";
import { type ClaimRule, testsOf } from "../index.js";
import { type Measurements, PART_NAMES, type PartName, type Parts } from "./parts.js";
import { flowClaims, geometryClaims, probeClaims, routingClaims, silencingClaims } from "./state-claims.js";
import { tracingClaims } from "./tracing-claims.js";
import { pruningClaims, truncationClaims, twinClaims } from "./truncation-claims.js";

const RULES: { readonly [P in PartName]: Readonly<Record<string, ClaimRule<Parts[P]>>> } = {
  tracing: tracingClaims,
  truncation: truncationClaims,
  geometry: geometryClaims,
  flow: flowClaims,
  probes: probeClaims,
  routing: routingClaims,
  silencing: silencingClaims,
  twins: twinClaims,
  pruning: pruningClaims,
};

/** The part that a claim rests on. @throws ModalscopeError for a claim that no part is measured for. */
export function partOf(claim: string): PartName {
  const part = PART_NAMES.find((name) => Object.hasOwn(RULES[name], claim));
  if (part) return part;
  throw new ModalscopeError(`Nothing is measured for the claim "${claim}".`);
}

/** Evidence for every claim; where its part was not measured, the reason. */
export function gapEvidence(study: Study, measured: Measurements): Record<string, ClaimEvidence> {
  return Object.fromEntries(
    study.claims.map((claim) => {
      const name = partOf(claim.id);
      return [claim.id, evidenceIn(name, measured[name], claim.id, testsOf(claim))];
    }),
  );
}

function evidenceIn<P extends PartName>(
  name: P,
  part: Parts[P] | Untestable,
  claim: string,
  tests: ReturnType<typeof testsOf>,
): ClaimEvidence {
  if ("untestable" in part) return part;
  return RULES[name][claim](part, tests);
}
