/** Layers that architectures are written with: norms, attention, MLPs, rotary positions, mixtures of experts. */
export {
  denseMixture,
  EXPERT_INDICES,
  EXPERT_INPUT,
  EXPERT_POST,
  EXPERT_WEIGHTS,
  expertBackward,
  expertGraph,
  expertHooks,
  fedMatrices,
  loadBalancingLoss,
  type Matrices,
  type MatrixForm,
  MLP_OUT,
  matrixShapes,
  mixture,
} from "./experts.js";
export {
  activation,
  attention,
  type BlockInputs,
  type Experts,
  gatedMlp,
  layerNorm,
  type ModuleContext,
  mlp,
  projection,
  rmsNorm,
  rotary,
  splitHeads,
} from "./layers.js";
export { type RopeParameters, ropeFrequencies, ropeParameters, rotations, standardRope } from "./rope.js";
