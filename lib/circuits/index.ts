/**
 * Circuits: transcoders that take MLPs apart into features.
 * @packageDocumentation
 */
export type { Activation, SparseFeatures, Transcoder, TranscoderSet } from "./transcoders/types.js";
