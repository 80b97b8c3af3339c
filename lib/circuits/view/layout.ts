/** Where a graph's nodes stand: layers upwards, tokens to the right. */
import { type GraphJson, type GraphJsonNode, kindOf, type NodeKind } from "./graph-json.js";

export interface PlacedNode {
  readonly node: GraphJsonNode;
  readonly kind: NodeKind;
  readonly x: number;
  readonly y: number;
}

export interface GraphLayout {
  readonly nodes: readonly PlacedNode[];
  readonly width: number;
  readonly height: number;
  /** The middle of each token's column and of each layer's line. */
  readonly columns: readonly { readonly label: string; readonly x: number }[];
  readonly lines: readonly { readonly label: string; readonly y: number }[];
}

const LEFT = 46;
const TOP = 22;
const LINE = 30;
const BOTTOM = 64;
const NODE = 13;
const LEAST_COLUMN = 26;

/** Columns that hold no node are left out. */
export function layoutOf({ nodes, metadata }: GraphJson): GraphLayout {
  const order = (layer: string): number => (layer === "E" ? -1 : Number(layer));
  const layers = [...new Set(nodes.map(({ layer }) => layer))].sort((a, b) => order(a) - order(b));
  const cells = new Map<string, GraphJsonNode[]>();
  for (const node of nodes) {
    const key = `${node.layer} ${node.ctx_idx}`;
    cells.set(key, [...(cells.get(key) ?? []), node]);
  }
  const used = [...new Set(nodes.map(({ ctx_idx }) => ctx_idx))].sort((a, b) => a - b);
  let x = LEFT;
  const columns = used.map((position) => {
    const most = Math.max(...layers.map((layer) => cells.get(`${layer} ${position}`)?.length ?? 0));
    const width = Math.max(LEAST_COLUMN, most * NODE + 8);
    const middle = x + width / 2;
    x += width;
    return { position, label: shortened(metadata.prompt_tokens[position] ?? String(position)), x: middle };
  });
  const height = TOP + layers.length * LINE + BOTTOM;
  const yOf = new Map(layers.map((layer, i) => [layer, TOP + (layers.length - 1 - i) * LINE + LINE / 2]));
  const logits = new Set(nodes.filter((node) => kindOf(node) === "logit").map(({ layer }) => layer));
  const nameOf = (layer: string): string => (layer === "E" ? "input" : logits.has(layer) ? "logits" : layer);
  const lines = layers.map((layer) => ({ label: nameOf(layer), y: yOf.get(layer)! }));
  const placed = columns.flatMap(({ position, x: middle }) =>
    layers.flatMap((layer) => {
      const own = cells.get(`${layer} ${position}`) ?? [];
      return own.map(
        (node, i): PlacedNode => ({
          node,
          kind: kindOf(node),
          x: middle + (i - (own.length - 1) / 2) * NODE,
          y: yOf.get(layer)!,
        }),
      );
    }),
  );
  return { nodes: placed, width: x + 10, height, columns, lines };
}

function shortened(text: string): string {
  const shown = text.replace(/\n/g, "⏎");
  return shown.length > 9 ? `${shown.slice(0, 8)}…` : shown;
}
