/** Runs one piece of a model within a memory budget: sessions, weights, estimates. */

export { checkBlocks, checkWeights, weightTensor, withOwnHead } from "./check-weights.js";
export { type EncodedImage, EncodedImages, imageKey } from "./encoded-images.js";
export { type Engine, floats, type ModelSpec, runSession, withPiece } from "./engine.js";
export {
  backwardBytes,
  blockBytes,
  checkMemory,
  columnBytes,
  keyBytes,
  logitBytes,
  type MemoryDemand,
  queryScoreBytes,
  routeBytes,
  tokenBytes,
  tokensInCache,
} from "./estimate.js";
export {
  type ExpertPlace,
  expertMatrices,
  formOf,
  isExpert,
  placeOf,
  withExpertParts,
} from "./expert-layout.js";
export { ExpertStore } from "./expert-store.js";
export { planLoad } from "./load-plan.js";
export { anonymousBytes, defaultBudget } from "./memory.js";
export { type PieceOperations, pieceOperations } from "./operations.js";
export { pieceBytes } from "./piece-bytes.js";
export { ELEMENT_BYTES, type FloatType, type GraphRequest, SessionPool } from "./pool.js";
export type { RunContext } from "./run-context.js";
export {
  type Feeds,
  hookPoint,
  resolveInnerEdits,
  runHead,
  runPiece,
  runVariant,
  shapeOf,
} from "./run-piece.js";
