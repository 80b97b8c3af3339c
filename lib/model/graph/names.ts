/** Names of a graph's inputs and outputs that belong to another value: its cotangent, its derivative, its edit. */

/** Input: the cotangent that arrives at a value. */
export const cotangentOf = (name: string): string => `g ${name}`;

/** Output: the derivative by a value. */
export const derivativeBy = (name: string): string => `d ${name}`;

/** The name of a derivative's value; undefined for another output. */
export const derivedName = (output: string): string | undefined =>
  output.startsWith("d ") ? output.slice(2) : undefined;

/** A value as it is before its edit. */
export const preEditOf = (name: string): string => `before ${name}`;

/** Input: takes the place of a value that is not computed. */
export const frozenInput = (name: string): string => `frozen.${name}`;

/** Inputs of an edited value x · scale + shift. */
export const scaleOf = (name: string): string => `${name}.scale`;
export const shiftOf = (name: string): string => `${name}.shift`;
