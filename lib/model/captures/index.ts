/** Activations to keep: requests, their reductions, and the cache that holds them. */
export { ActivationCache } from "./activation-cache.js";
export { CaptureRecorder, type CaptureRequest } from "./recorder.js";
export { type CaptureSpec, captureShapes } from "./reductions.js";
