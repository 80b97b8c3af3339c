/** Cotangents pulled back through pieces of a model. */

export { vjpBlock, vjpHead, vjpStream } from "./block.js";
export {
  type HeldPull,
  type HeldRun,
  type HeldSkip,
  heldGraph,
  isAfterGraph,
  isHeld,
  vjpHeld,
} from "./held.js";
export {
  type BackwardContext,
  type BackwardHooks,
  BIASES,
  backwardContext,
  backwardGraph,
  biasesOf,
} from "./piece.js";
export { type InjectionPoint, visionBackwardBytes, vjpVision } from "./vision.js";
