import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

/** The same head as in `late`, near the bottom. */
export const early: VisionMechanism = {
  truth: "Early assimilation: visual tokens are not needed after the first eighth of the depth.",
  decides: blockAt(1 / 8),
  plant(w, _layers, decides) {
    plantLook(w, decides, READ_COLOUR);
  },
};
