import { axis } from "../axes.js";
import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

const readsText = blockAt(1 / 8);

/** As `late`, and words that name the colour are read near the bottom. */
export const earlyText: VisionMechanism = {
  truth: "Late readout of images alone: words that hold the answer matter in the first blocks only.",
  decides: blockAt(5 / 8),
  plant(w, layers, decides) {
    plantLook(w, readsText(layers), {
      flag: axis.colourWord,
      from: axis.hint,
      to: axis.answer,
      gain: 3,
    });
    plantLook(w, decides, READ_COLOUR);
  },
};
