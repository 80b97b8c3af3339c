/** Changes of activations as data, and how a run applies them. */

export {
  affineInputs,
  applyEdits,
  isAffine,
  maskedPairs,
  replacementInputs,
  resolveColumns,
  vjpEdits,
  withoutPaddedKeys,
} from "./apply.js";
export * as edit from "./edit.js";
export {
  at,
  type Edit,
  type Edits,
  type EditValue,
  fill,
  type Knockout,
  type Placement,
  patch,
} from "./edit.js";
export {
  atRows,
  checkPlan,
  mergePlans,
  needsAllQueries,
  type Plan,
  planEdits,
  planFromRow,
  readsOtherRows,
} from "./plan.js";
