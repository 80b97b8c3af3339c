/** The document's layers, of 48, as blocks of a model of any depth. */

/** Blocks of the document's model. */
export const DOCUMENT_LAYERS = 48;

/** The block that begins nearest to where the document's layer does; `blocks` where that is behind the last one. */
export function nearestBlock(layer: number, blocks: number): number {
  return Math.round((layer * blocks) / DOCUMENT_LAYERS);
}

/** The blocks from one of the document's layers up to another, without that. */
export function blocksBetween(from: number, to: number, blocks: number): number[] {
  const [first, end] = [nearestBlock(from, blocks), nearestBlock(to, blocks)];
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}

/** The document's window of readout, layers 37 to 40. */
export const READOUT = { from: 37, to: 41 } as const;

/**
 * Blocks from which visual tokens are truncated: those that the claims ask about, the document's stride of four layers around
 * them, and every block from 36/48 to 44/48 of the depth.
 */
export function truncationBlocks(blocks: number): number[] {
  const coarse = [0, 8, 16, 20, 24, 26, 32, 36].map((layer) => nearestBlock(layer, blocks));
  const fine = blocksBetween(36, 45, blocks);
  return [...new Set([...coarse, ...fine])].filter((l) => l < blocks).sort((a, b) => a - b);
}
