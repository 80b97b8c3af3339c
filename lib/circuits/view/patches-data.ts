/** Edges from image patches as a page holds them: the images, where their patches lie, and what each node has of them. */
import { ModalscopeError } from "../../errors.js";
import { embeddedImage, type OverlaySource } from "../../plot/index.js";
import { type GraphJson, type GraphJsonPatches, kindOf, type PatchInputs } from "./graph-json.js";

/** Patches with less than this share of a node's strongest are not drawn one by one. */
const LEAST_SHARE = 0.01;

export interface PatchImage {
  /** Empty where the image was not given: its patches are then drawn alone. */
  readonly uri: string;
  readonly width: number;
  readonly height: number;
}

/** A patch of a page: the number of its image, and its box in that image's pixels; null where it has none. */
export type PatchCell = readonly [image: number, x0: number, y0: number, x1: number, y1: number] | null;

export interface PatchesData {
  readonly images: readonly PatchImage[];
  readonly cells: readonly PatchCell[];
  /** Number of the node that is shown before one is chosen: the first logit. */
  readonly first: number;
}

export interface NodePatches {
  readonly cells: readonly (readonly [patch: number, weight: number])[];
  readonly others: number;
  readonly constant: number;
}

/**
 * The images of a graph and the places of their patches; undefined for a graph without edges from patches.
 * @throws ModalscopeError for as many images as the graph does not have, or one of another size
 */
export function patchesData(graph: GraphJson, images: readonly OverlaySource[]): PatchesData | undefined {
  const { patch_edges: patches, nodes } = graph;
  if (!patches) {
    if (images.length === 0) return undefined;
    throw new ModalscopeError(
      "This graph has no edges from image patches.",
      "Its images are drawn with these.",
      "Make it with attribute(…, { patches: true }), or leave the images out.",
    );
  }
  checkPatches(patches);
  const sizes = patches.image_sizes;
  if (images.length > 0 && images.length !== sizes.length)
    throw new ModalscopeError(
      `${images.length} images are given, and the graph's prompt has ${sizes.length}.`,
    );
  return {
    images: sizes.map(([width, height], i) => ({
      uri: images.length > 0 ? embeddedImage(images[i], { width, height }) : "",
      ...{ width, height },
    })),
    cells: patches.boxes.map((box, p): PatchCell => {
      if (!box) return null;
      const [x0, y0, x1, y1] = box;
      return [patches.image_of[Math.floor(p / patches.per_image)], x0, y0, x1, y1];
    }),
    first: nodes.findIndex((node) => kindOf(node) === "logit" && Object.hasOwn(patches.inputs, node.node_id)),
  };
}

/** What a node has of the patches: those that matter one by one, and the rest together. */
export function nodePatches({ patch_edges: patches }: GraphJson, id: string): NodePatches | null {
  if (!patches || !Object.hasOwn(patches.inputs, id)) return null;
  const { strongest, others, constant }: PatchInputs = patches.inputs[id];
  const least = LEAST_SHARE * strongest.reduce((most, [, weight]) => Math.max(most, Math.abs(weight)), 0);
  const rest = strongest.reduce((sum, [, weight]) => (Math.abs(weight) < least ? sum + weight : sum), others);
  return {
    cells: strongest.filter(([, w]) => Math.abs(w) >= least).map(([patch, w]) => [patch, rounded(w)]),
    ...{ others: rounded(rest), constant: rounded(constant) },
  };
}

const rounded = (x: number): number => Number(x.toPrecision(3));

/** @throws ModalscopeError when places and edges do not go together: the file is another program's, or damaged */
function checkPatches({ images, per_image, image_of, image_sizes, boxes, inputs }: GraphJsonPatches): void {
  const count = images * per_image;
  const wrong = (reason: string): ModalscopeError =>
    new ModalscopeError("The edges from patches of this graph cannot be shown.", reason);
  if (!Array.isArray(image_of) || !Array.isArray(image_sizes) || !Array.isArray(boxes))
    throw wrong("The graph does not say where its patches lie.");
  if (boxes.length !== count || image_of.length !== images)
    throw wrong(`It has places of ${boxes.length} patches, and ${images} × ${per_image} patches.`);
  const stray = image_of.find(
    (image) => !(Number.isInteger(image) && image >= 0 && image < image_sizes.length),
  );
  if (stray !== undefined) throw wrong(`There is no image ${stray}.`);
  const numbers = [...image_sizes, ...boxes.filter((box) => box !== null)].flat();
  if (!numbers.every(Number.isFinite)) throw wrong("A place is no number.");
  for (const { strongest } of Object.values(inputs))
    for (const [patch, weight] of strongest)
      if (!(Number.isInteger(patch) && patch >= 0 && patch < count && Number.isFinite(weight)))
        throw wrong(`There is no patch ${patch}.`);
}
