import { box, disc, polygon, type Region } from "../raster/paint.js";

export type ShapeName = "circle" | "square" | "triangle" | "diamond" | "cross" | "star";

/** Shapes in the unit square that stay apart at nine pixels. */
export const SHAPES: Readonly<Record<ShapeName, Region>> = {
  circle: disc(0.5, 0.5, 0.5),
  square: box(0.06, 0.06, 0.88, 0.88),
  triangle: polygon([0.5, 0], [1, 1], [0, 1]),
  diamond: polygon([0.5, 0], [0.92, 0.5], [0.5, 1], [0.08, 0.5]),
  cross: polygon(
    [0.33, 0],
    [0.67, 0],
    [0.67, 0.33],
    [1, 0.33],
    [1, 0.67],
    [0.67, 0.67],
    [0.67, 1],
    [0.33, 1],
    [0.33, 0.67],
    [0, 0.67],
    [0, 0.33],
    [0.33, 0.33],
  ),
  star: star(),
};

export const SHAPE_NAMES: readonly ShapeName[] = Object.keys(SHAPES) as ShapeName[];

/** Plural of a shape's name. */
export function plural(shape: ShapeName): string {
  return shape === "cross" ? "crosses" : `${shape}s`;
}

function star(): Region {
  const points = Array.from({ length: 10 }, (_, i): [number, number] => {
    const radius = i % 2 === 0 ? 0.55 : 0.23;
    const angle = (Math.PI * i) / 5;
    return [0.5 + radius * Math.sin(angle), 0.54 - radius * Math.cos(angle)];
  });
  return polygon(...points);
}
