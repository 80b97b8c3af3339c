/** Cotangents pulled back through pieces of a model. */

export { vjpBlock, vjpHead, vjpStream } from "./block.js";
export { type BackwardContext, type BackwardHooks, backwardContext, backwardGraph } from "./piece.js";
export { type InjectionPoint, visionBackwardBytes, vjpVision } from "./vision.js";
