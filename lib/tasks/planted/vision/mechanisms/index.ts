import type { VisionMechanism } from "../mechanism.js";
import { early } from "./early.js";
import { earlyText } from "./early-text.js";
import { hops } from "./hops.js";
import { late } from "./late.js";
import { lateText } from "./late-text.js";
import { leak } from "./leak.js";
import { none } from "./none.js";
import { routing } from "./routing.js";
import { sink } from "./sink.js";

export type PlantedVisionKind =
  | "early"
  | "earlyText"
  | "hops"
  | "late"
  | "lateText"
  | "leak"
  | "none"
  | "routing"
  | "sink";

/** Every mechanism, each in a file of its name. */
export const MECHANISMS: Readonly<Record<PlantedVisionKind, VisionMechanism>> = {
  early,
  earlyText,
  hops,
  late,
  lateText,
  leak,
  none,
  routing,
  sink,
};
