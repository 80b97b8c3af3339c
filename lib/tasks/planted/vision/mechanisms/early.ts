import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

const decides = blockAt(1 / 8);

/** The same head as in `late`, near the bottom. */
export const early: VisionMechanism = {
  truth: "Early assimilation: visual tokens are not needed after the first eighth of the depth.",
  decides,
  plant(w, layers) {
    plantLook(w, decides(layers), READ_COLOUR);
  },
};
