/**
 * Circuits: transcoders that take MLPs apart into features.
 * @packageDocumentation
 */
export { checkTranscoders } from "./transcoders/check.js";
export { type ReadTranscodersOptions, readTranscoders } from "./transcoders/read.js";
export { type Encoded, reconstruct } from "./transcoders/reconstruct.js";
export { atTokens, toDense } from "./transcoders/sparse.js";
export type { Activation, SparseFeatures, Transcoder, TranscoderSet } from "./transcoders/types.js";
export { writeTranscoders } from "./transcoders/write.js";
