import type { VisionMechanism } from "../mechanism.js";
import { early } from "./early.js";
import { hops } from "./hops.js";
import { late } from "./late.js";
import { leak } from "./leak.js";
import { none } from "./none.js";
import { routing } from "./routing.js";
import { sink } from "./sink.js";

export type PlantedVisionKind = "early" | "hops" | "late" | "leak" | "none" | "routing" | "sink";

/** Every mechanism, each in a file of its name. */
export const MECHANISMS: Readonly<Record<PlantedVisionKind, VisionMechanism>> = {
  early,
  hops,
  late,
  leak,
  none,
  routing,
  sink,
};
