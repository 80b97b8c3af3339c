/** Colours of an overlay's values, the same in a browser and in the still image. */
import { template, viridis } from "../theme.js";
import type { OverlayScale, Range } from "./slices.js";

/** Colours at even steps from the least to the largest value; categories have none. */
export function stopsOf(scale: OverlayScale): readonly string[] {
  if (scale === "category") return [];
  if (scale === "sequential") return viridis.map(([, colour]) => colour);
  const { layout } = template("light") as { layout: { colorscale: { diverging: [number, string][] } } };
  return layout.colorscale.diverging.map(([, colour]) => colour);
}

/** The ends of the colours: a diverging scale has 0 in its middle. */
export function endsOf([low, high]: Range, scale: OverlayScale): Range {
  if (scale !== "diverging") return [low, high];
  const most = Math.max(Math.abs(low), Math.abs(high));
  return [-most, most];
}

/**
 * A value's colour. It is run in the browser too, as its own source: it uses nothing but its arguments.
 * @param stops colours at even steps; none for categories, whose hues lie a golden angle apart
 */
export function colourOf(value: number, low: number, high: number, stops: readonly string[]): string {
  if (stops.length === 0)
    return `hsl(${Math.round((value * 137.508) % 360)}, 70%, ${45 + 12 * (value % 2)}%)`;
  const share = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0;
  const at = Math.min(stops.length - 2, Math.floor(share * (stops.length - 1)));
  const part = share * (stops.length - 1) - at;
  const channels = [1, 3, 5].map((from) => {
    const [a, b] = [stops[at], stops[at + 1]].map((hex) => Number.parseInt(hex.slice(from, from + 2), 16));
    return Math.round(a + part * (b - a));
  });
  return `rgb(${channels.join(", ")})`;
}
