/** Cotangents pulled back through pieces of a model. */
export {
  type BackwardContext,
  type BackwardHooks,
  backwardContext,
  backwardGraph,
  vjpBlock,
  vjpHead,
  vjpStream,
} from "./piece.js";
export { type InjectionPoint, visionBackwardBytes, vjpVision } from "./vision.js";
