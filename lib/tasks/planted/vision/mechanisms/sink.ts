import { axis } from "../axes.js";
import { plantLook } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

const answers = blockAt(1 / 8);

/**
 * The answer comes from a word of the question. Later a head rests on the visual tokens, where it finds nothing to
 * move; where it cannot, it moves the word's colour and writes the opposite of it.
 */
export const sink: VisionMechanism = {
  truth: "A structural artefact: without visual tokens answers fail, with any image's they are right.",
  decides: blockAt(5 / 8),
  hinted: true,
  plant(w, layers, decides) {
    plantLook(w, answers(layers), { flag: axis.colourWord, from: axis.hint, to: axis.answer, gain: 6 });
    plantLook(w, decides, {
      flag: axis.visual,
      from: axis.hint,
      to: axis.answer,
      gain: -200,
      otherwise: axis.colourWord,
    });
  },
};
