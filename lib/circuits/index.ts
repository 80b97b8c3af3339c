/**
 * Circuits: transcoders that take MLPs apart into features.
 * @packageDocumentation
 */
export {
  activeTokens,
  type CorpusOptions,
  type CorpusPrompt,
  type FeatureCorpus,
  featureCorpus,
} from "./dashboard/corpus.js";
export { type DashboardOptions, type FeatureDashboard, featureDashboard } from "./dashboard/dashboard.js";
export { writeFeatureFiles } from "./dashboard/feature-files.js";
export { type FeatureLabel, type LabelIndex, labelFeature, labelIndex } from "./dashboard/labels.js";
export { featureLogits, type LogitEffects } from "./dashboard/logits.js";
export {
  activationAt,
  type EncodeOptions,
  encodeFeatures,
  type FeatureRun,
  type TokenPlace,
} from "./encode-run.js";
export { type AttributeOptions, attribute, type Direction } from "./graph/attribute.js";
export {
  type ComparedFeature,
  type CompareOptions,
  compareGraphs,
  type GraphComparison,
} from "./graph/compare.js";
export { type Ablation, type AblationOptions, ablateFeatures, totalEffects } from "./graph/effects.js";
export {
  type Fidelity,
  type FidelityOptions,
  type GraphFidelity,
  graphFidelity,
} from "./graph/fidelity.js";
export { type HeadLoadings, headLoadings } from "./graph/heads.js";
export {
  type GraphScores,
  graphScores,
  nodeInfluence,
  type PrunedGraph,
  type PruneOptions,
  pruneGraph,
} from "./graph/influence.js";
export {
  type CircuitTracerGraph,
  type CircuitTracerNode,
  type GraphFileOptions,
  graphJson,
  writeGraphFiles,
} from "./graph/json.js";
export {
  type AttributionGraph,
  edgeRow,
  type GraphNode,
  nodeId,
  type PatchEdges,
  rowOf,
} from "./graph/nodes.js";
export type { PatchBox, PatchPlaces } from "./graph/patches.js";
export type { FirstPosition } from "./graph/sources.js";
export {
  type ProposedSupernode,
  type ProposeOptions,
  proposeSupernodes,
  readSupernodes,
  type Supernode,
} from "./graph/supernodes.js";
export { sumCheck, type Verification, type VerifyOptions, verifyEdges } from "./graph/verify.js";
export { type FeatureEdit, type FeaturePatch, featureEdits, patchedFeatures } from "./interventions.js";
export {
  featureRollout,
  type Rollout,
  type RolloutForm,
  type RolloutOptions,
  rollout,
  tokenMaps,
  visionRollout,
} from "./rollout.js";
export { type LayerQuality, transcoderQuality } from "./training/evaluate.js";
export type { TranscoderSpec } from "./training/graph.js";
export { type TrainTranscodersOptions, trainTranscoders } from "./training/train-set.js";
export {
  type Activations,
  type TranscoderBatch,
  TranscoderTrainer,
  type TranscoderTrainerOptions,
} from "./training/trainer.js";
export { initialTranscoderWeights, type SetNames, transcodersFrom, varianceOf } from "./training/weights.js";
export { checkTranscoders } from "./transcoders/check.js";
export { embeddedTranscoders } from "./transcoders/embedded.js";
export { type NullKind, nullTranscoders } from "./transcoders/nulls.js";
export { type ReadTranscodersOptions, readTranscoders } from "./transcoders/read.js";
export { type Encoded, reconstruct } from "./transcoders/reconstruct.js";
export { atTokens, toDense } from "./transcoders/sparse.js";
export type { Activation, SparseFeatures, Transcoder, TranscoderSet } from "./transcoders/types.js";
export { type WriteTranscodersOptions, writeTranscoders } from "./transcoders/write.js";
export { type DashboardViewOptions, dashboardView } from "./view/dashboard-view.js";
export type {
  GraphJson,
  GraphJsonLink,
  GraphJsonNode,
  GraphJsonPatches,
  PatchInputs,
} from "./view/graph-json.js";
export { graphView } from "./view/graph-view.js";
export type { GraphViewOptions } from "./view/page.js";
