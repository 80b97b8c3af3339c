import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

/** One head reads the colour off the visual tokens, late. */
export const late: VisionMechanism = {
  truth: "Late readout: visual tokens matter up to one block in the second half, and no further.",
  decides: blockAt(5 / 8),
  plant(w, _layers, decides) {
    plantLook(w, decides, READ_COLOUR);
  },
};
