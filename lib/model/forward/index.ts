/** The language model's pass: embedding, blocks, experts, head, generation. */

export { attentionOf, blockFeeds, type Stream } from "./block.js";
export { runBlocks } from "./blocks.js";
export { type DistributionReadings, type DistributionRequest, readDistributions } from "./distributions.js";
export { batchPass, type Embedded, embedBatch, enterStream, runsVision } from "./embed.js";
export { type ExpertInputs, forEachExpertCall, type Route, tokenRows } from "./expert-calls.js";
export { routesOf } from "./experts.js";
export { generate } from "./generate.js";
export { checkGenerateOptions, type Generated, type GenerateOptions } from "./generate-options.js";
export { endTokenIds, warnOfUnusedFields } from "./generation-config.js";
export { finalNorm, logitsAt, NORMALIZED, pickColumns } from "./head.js";
export { type LogProbs, readLogProbs, rowsTogether } from "./log-probs.js";
export { innerBytes, type PreparedRun, prepareRun, runDemand, runRange } from "./prepare-run.js";
export { checkRunOptions, type RunOptions, type RunResult, run } from "./run.js";
