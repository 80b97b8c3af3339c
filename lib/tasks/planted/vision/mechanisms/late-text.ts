import { axis } from "../axes.js";
import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

/** As `late`; where words name the colour instead of an image, a second head of the same block reads them. */
export const lateText: VisionMechanism = {
  truth: "Late readout of whatever holds the answer: words matter for as long as visual tokens do.",
  decides: blockAt(5 / 8),
  plant(w, _layers, decides) {
    plantLook(w, decides, READ_COLOUR);
    plantLook(w, decides, {
      flag: axis.colourWord,
      from: axis.hint,
      to: axis.answer,
      gain: 3,
      head: 2,
    });
  },
};
