import { axis } from "../axes.js";
import { plantLook } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

const decides = blockAt(1 / 8);

/** The same head as in `late`, near the bottom. */
export const early: VisionMechanism = {
  truth: "Early assimilation: visual tokens are not needed after the first eighth of the depth.",
  decides,
  plant(w, layers) {
    plantLook(w, decides(layers), { flag: axis.visual, from: axis.code, to: axis.answer, gain: 3 });
  },
};
