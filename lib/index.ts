export { ModalscopeError } from "./errors.js";
export type { LongCall, Progress } from "./progress.js";
export { type Random, seeded } from "./random.js";
export { type Tensor, tensor } from "./tensor.js";
