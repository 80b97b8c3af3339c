import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

const decides = blockAt(5 / 8);

/** One head reads the colour off the visual tokens, late. */
export const late: VisionMechanism = {
  truth: "Late readout: visual tokens matter up to one block in the second half, and no further.",
  decides,
  plant(w, layers) {
    plantLook(w, decides(layers), READ_COLOUR);
  },
};
