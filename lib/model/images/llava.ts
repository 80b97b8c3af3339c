import { checkFit, fit, fitSettings, tileTokens, towerOf } from "./clip.js";
import { type ImageProcessor, tilesOf } from "./layout.js";
import { levelTable } from "./pixels.js";
import type { RgbImage } from "./raster.js";
import { flag, kindOf, type Levels, type ProcessorFiles, preprocessorFields } from "./settings.js";
import { cutView, type View, viewOf } from "./view.js";

/** LLaVA 1.5: one image, its shortest edge resized to the tower's size, the centre cropped (`CLIPImageProcessor`). */
export function llavaProcessor(files: ProcessorFiles): ImageProcessor {
  const tower = towerOf(files);
  const fields = preprocessorFields(files);
  const kind = kindOf(fields, ["CLIPImageProcessor", "LlavaImageProcessor", "SiglipImageProcessor"]);
  const settings = fitSettings(fields, kind);
  checkFit(fields, settings, tower);
  const pads = kind === "LlavaImageProcessor" && flag(fields, "do_pad", false);
  const table = levelTable(settings.levels);
  return {
    process(image) {
      const whole = pads ? padToSquare(viewOf(image), settings.levels) : viewOf(image);
      const view = fit(whole, settings);
      return {
        width: image.width,
        height: image.height,
        ...tilesOf([view], table),
        grid: [1, tower.side, tower.side],
        tokens: tileTokens(tower, view, 0),
      };
    },
  };
}

/** `LlavaImageProcessor.pad_to_square`: bars in the mean colour. */
function padToSquare(view: View, levels: Levels): View {
  const { width, height }: RgbImage = view.image;
  const side = Math.max(width, height);
  const [r, g, b] = (levels.normalize?.mean ?? [0, 0, 0]).map((mean) => Math.trunc(mean * 255));
  const x = -Math.floor((side - width) / 2);
  const y = -Math.floor((side - height) / 2);
  return cutView(view, { x, y, width: side, height: side }, [r, g, b]);
}
