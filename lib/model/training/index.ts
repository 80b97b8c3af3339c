/** Training of small checkpoints: the whole model as one graph, its loss and every derivative as outputs. */
export { type AdamState, createAdamState, type GradientSource, type TrainOptions, train } from "./adamw.js";
export { initialWeights, saveCheckpoint } from "./checkpoint.js";
export type { TrainingBatch } from "./feeds.js";
export { initialLabelWeights, LABEL_WEIGHTS, type LabelLoss } from "./labels.js";
export { Trainer, type TrainerOptions, type WeightGradients, type Weights } from "./trainer.js";
