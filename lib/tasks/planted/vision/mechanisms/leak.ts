import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

/** DeepStack carries the colour too, so that edits of the residual stream alone are undone by its injections. */
export const leak: VisionMechanism = {
  truth: "A leak: corrupting only the stream before DeepStack's last injection changes nothing.",
  decides: blockAt(1 / 2),
  deepstack: 1,
  plant(w, _layers, decides) {
    plantLook(w, decides, READ_COLOUR);
  },
};
