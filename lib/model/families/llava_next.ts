import type { VisionFamily } from "./family.js";
import { llava } from "./llava.js";

/** LLaVA 1.6: LLaVA's tower over tiles, whose tokens are joined to one grid; each row of it ends with a learned vector. */
export const llavaNext: VisionFamily = { ...llava, textMayTie: false, newline: "image_newline" };
