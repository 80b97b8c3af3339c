/** The vision tower's pass, and regions of an image as positions. */
export { forEachReadout, NEWLINE, runVision, scatterFeatures, tokenRows, towerInputs } from "./features.js";
export { interpolatedPositions, patchRows } from "./patches.js";
export {
  type CellRange,
  type ImageRegion,
  injectionLayers,
  patchPositions,
  projectorPositions,
  type RegionSpec,
  visualEdits,
  visualPositions,
} from "./regions.js";
export { passFor, type VisionRows, visionRows } from "./rows.js";
export { rowBytes, towerBytes, towerRows } from "./tower.js";
