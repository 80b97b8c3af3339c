/** Changes of activations as data, and how a run applies them. */

export { affineInputs, applyEdits, isAffine, replacementInputs, resolveColumns } from "./apply.js";
export { maskedPairs } from "./attention.js";
export * as edit from "./edit.js";
export {
  at,
  type Edit,
  type Edits,
  type EditValue,
  type FeatureChange,
  type FeatureSource,
  fill,
  type Knockout,
  type Placement,
  patch,
} from "./edit.js";
export { featuresRead, withFeatureDeltas } from "./features.js";
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
export type { BoundEdit } from "./values.js";
export { vjpEdits, withoutPaddedKeys } from "./vjp.js";
