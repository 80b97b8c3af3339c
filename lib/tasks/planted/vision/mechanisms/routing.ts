import { axis } from "../axes.js";
import { plantExpert, plantLook, plantRoute } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

const WORD_EXPERTS = [0, 1] as const;
const SHARED_EXPERTS = [2, 3] as const;
const VISUAL_EXPERTS = [8, 9] as const;

/** Undoes what the head has just left on the scratch axes, at the norm's scale there. */
const ERASE = -0.0234;

/**
 * Every block's head reads the colour to the scratch axes, and its experts erase it again. In one block words and
 * visual tokens share their experts, and these write the scratch to the answer before they erase it.
 */
export const routing: VisionMechanism = {
  truth: "Routing decides: attention reads in every block, experts write the answer in one.",
  decides: blockAt(5 / 8),
  preference: 0.8,
  plant(w, layers, decides) {
    for (let layer = 0; layer < layers; layer++) {
      const writes = layer === decides;
      const forWords = writes ? SHARED_EXPERTS : WORD_EXPERTS;
      plantLook(w, layer, { flag: axis.visual, from: axis.code, to: axis.scratch, gain: 0.2 });
      plantRoute(w, layer, axis.text, forWords);
      plantRoute(w, layer, axis.visual, writes ? SHARED_EXPERTS : VISUAL_EXPERTS);
      const erase = { from: axis.scratch, to: axis.scratch, gain: ERASE };
      const answer = { from: axis.scratch, to: axis.answer, gain: 0.25 };
      for (const e of forWords) plantExpert(w, layer, e, writes ? [erase, answer] : [erase]);
    }
  },
};
