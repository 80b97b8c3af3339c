import type { VisionMechanism } from "../mechanism.js";

/** Nothing is planted: every block is quiet. */
export const none: VisionMechanism = {
  truth: "No use of the image: accuracy is the majority's with and without it.",
  decides: () => undefined,
  plant() {},
};
