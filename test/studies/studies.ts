/** Small studies, written as their JSON would be. */
import type { Claim, Study, Test } from "../../lib/studies/claims.js";
import { readStudy } from "../../lib/studies/read.js";

export type Json = Record<string, unknown>;

export const testJson = (fields: Json = {}): Json => ({
  measures: "change of the answer's log-probability (nats)",
  quantity: "mean",
  rule: { kind: "above", threshold: 0 },
  ...fields,
});

export const claimJson = (fields: Json = {}): Json => ({
  id: "moves",
  says: "The edit moves the answer",
  quote: "replacing it changes the answer",
  where: "2.1",
  gate: "none",
  tests: { effect: testJson() },
  nulls: ["random"],
  planted: { holds: "supported", reverses: "contradicted" },
  ...fields,
});

export const studyJson = (fields: Json = {}): Json => ({
  title: "A made-up study",
  checkpoints: [
    { id: "model", role: "model", name: "the model", says: "under study" },
    { id: "random", role: "null", name: "random weights", says: "nothing was learnt" },
    { id: "holds", role: "planted", name: "holds", says: "the edit moves the answer" },
    { id: "reverses", role: "planted", name: "reverses", says: "the edit moves it back" },
  ],
  claims: [claimJson()],
  ...fields,
});

export const studyOf = (fields: Json = {}): Study => readStudy(studyJson(fields), "made-up");

export const claimOf = (fields: Json = {}): Claim => studyOf({ claims: [claimJson(fields)] }).claims[0];

/** A claim's only test, from its JSON. */
export const testOf = (fields: Json = {}): Test =>
  claimOf({ tests: { effect: testJson(fields) } }).tests.get("effect")!;
