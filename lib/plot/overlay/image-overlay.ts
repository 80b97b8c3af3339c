/** An image with one value per visual token over it. */
import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  integers,
  listOf,
  number,
  type OptionChecks,
  oneOf,
  record,
  required,
  text,
} from "../../options.js";
import { dataUri, type Html, image as imageFile, view } from "../show/content.js";
import { cellsOf, type ImageLayout } from "./cells.js";
import { overlayPage } from "./page.js";
import { canvasOf, encodeCanvas, isSmall, type OverlaySource } from "./pixels.js";
import { checkCategories, type OverlayScale, type OverlayValues, slicesOf } from "./slices.js";
import { overlayStill } from "./still.js";

export interface OverlayOptions {
  readonly title: string;
  /** A line under the title. */
  readonly subtitle?: string;
  /** The axes before the tokens, each a slider: its name, and what stands beside it (default: numbers from 0). */
  readonly axes?: readonly { readonly name: string; readonly labels?: readonly (string | number)[] }[];
  /** Places of the sliders at first, and in the still image (default: 0). */
  readonly initial?: readonly number[];
  /** Colours by size (default), by size and sign, or by number, as of experts. */
  readonly scale?: OverlayScale;
  /** Name of the values, such as "attention". */
  readonly unit?: string;
  /** In pixels; 520 when left out. */
  readonly height?: number;
}

const OVERLAY_OPTIONS: OptionChecks<OverlayOptions> = {
  title: required(text, "a string"),
  subtitle: text,
  axes: listOf(record),
  initial: integers,
  scale: oneOf("sequential", "diverging", "category"),
  unit: text,
  height: number(1),
};

/**
 * The image with one value per visual token: attention from a token, what restoring it brings back, an expert's number.
 * Sliders go through the axes before the tokens; the number is read under the pointer, or with the arrow keys. It
 * works without a network, in a notebook and in a report; where scripts may not run it is a still image.
 * @param source the image, as it was given to the model
 * @param layout where its tokens are, by the model's own image processor: `batch.images[0].image`. Tiles of an image
 * stand beside the whole one, and newline tokens at the end of their row.
 * @param values (tokens), (layers, tokens), (layers, heads, tokens) …
 * @example
 * const attention = await imageAttention(model, batch);
 * const axes = [{ name: "layer" }, { name: "head" }];
 * show(imageOverlay(photo, batch.images[0].image, attention, { title: "Read by the last token", axes }));
 * @throws ModalscopeError for an image of another size, values of another shape, and more of them than a notebook takes
 */
export function imageOverlay(
  source: OverlaySource,
  layout: ImageLayout,
  values: OverlayValues,
  options: OverlayOptions,
): Html {
  checkOptions("imageOverlay", options, OVERLAY_OPTIONS);
  const { title, subtitle = "", scale = "sequential", unit = "", height = 520 } = options;
  const slices = slicesOf(values, layout.tokens.length);
  if (scale === "category") checkCategories(slices);
  const axes = axesOf(slices.axes, options.axes ?? []);
  const initial = slices.axes.map((length, i) => placeIn(length, options.initial?.[i] ?? 0, axes[i].name));
  const cells = cellsOf(layout);
  const unseen = cells.unseen > 0 ? `${cells.unseen} tokens of padding are not shown` : "";
  const { width } = layout;
  const overlay = {
    ...{ title, axes, initial, slices, scale, unit, cells, width },
    subtitle: [subtitle, unseen].filter((line) => line !== "").join(" · "),
    height: layout.height,
  };
  const canvas = canvasOf(source, layout);
  const sharp = isSmall(canvas);
  const uri = dataUri(imageFile(encodeCanvas(canvas, sharp)));
  const alt = `${title}: ${unit === "" ? "a value" : unit} for each of ${slices.tokens} visual tokens`;
  const fallback = imageFile(overlayStill(overlay, canvas, height), { alt, width: 760 });
  return view(overlayPage(overlay, uri, sharp), { height, alt, fallback });
}

function axesOf(
  lengths: readonly number[],
  given: NonNullable<OverlayOptions["axes"]>,
): { readonly name: string; readonly labels: readonly string[] }[] {
  if (given.length > lengths.length) {
    throw new ModalscopeError(
      `${given.length} axes are named, and the values have ${lengths.length} before the tokens.`,
      "Each is a slider.",
    );
  }
  return lengths.map((length, i) => {
    const { name = `axis ${i}`, labels } = given[i] ?? {};
    if (labels && labels.length !== length) {
      throw new ModalscopeError(`The axis "${name}" has ${labels.length} labels and ${length} places.`);
    }
    return { name, labels: labels ? labels.map(String) : Array.from({ length }, (_, at) => String(at)) };
  });
}

function placeIn(length: number, place: number, name: string): number {
  if (Number.isInteger(place) && place >= 0 && place < length) return place;
  throw new ModalscopeError(`The axis "${name}" has no place ${place}.`, `It has ${length}, counted from 0.`);
}
