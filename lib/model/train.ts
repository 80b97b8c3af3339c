/** Training of small checkpoints: the whole model as one graph, its loss and every derivative as outputs. */
export { type AdamState, freshState, type TrainOptions, train } from "./training/adamw.js";
export { initialWeights, saveCheckpoint } from "./training/checkpoint.js";
export type { TrainingBatch } from "./training/feeds.js";
export { Trainer, type TrainerOptions, type WeightGradients, type Weights } from "./training/trainer.js";
