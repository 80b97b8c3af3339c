/** Jupyter counts a cursor's place in Unicode code points, JavaScript in UTF-16 units. */
export interface CodePosition {
  code: string;
  cursor_pos: number;
}

export function fromCodePoints(code: string, position: number): number {
  return [...code].slice(0, position).join("").length;
}

export function toCodePoints(code: string, offset: number): number {
  return [...code.slice(0, offset)].length;
}
