import { axis } from "../axes.js";
import { plantLook, READ_COLOUR } from "../blocks.js";
import { blockAt, type VisionMechanism } from "../mechanism.js";

const [prepares, easy] = [blockAt(1 / 8), blockAt(3 / 8)];

/**
 * Easy questions ("what is it ?") are answered in one hop, at three eighths of the depth. Hard ones ("what is left ?")
 * take two: the noun's side comes to the last token, and later a head reads the colour of that half.
 */
export const hops: VisionMechanism = {
  truth: "Hard questions need the visual tokens for twice as long as easy ones.",
  decides: blockAt(6 / 8),
  preference: 0.8,
  plant(w, layers, decides) {
    plantLook(w, prepares(layers), {
      flag: axis.oneHop,
      from: [axis.oneHop],
      to: [axis.oneHop],
      gain: 0.5,
    });
    plantLook(w, prepares(layers) + 1, {
      flag: axis.twoHops,
      from: [axis.twoHops, axis.side],
      to: [axis.twoHops, axis.wantedSide],
      gain: 0.5,
    });
    plantLook(w, easy(layers), { ...READ_COLOUR, asked: axis.oneHop });
    plantLook(w, decides, { ...READ_COLOUR, asked: axis.twoHops, bySide: true });
  },
};
