import type { CellStatement } from "./follow.js";
import type { ParameterValue } from "./values.js";

/** A parameter as the notebook's `parameters` cell declares it. */
export interface DeclaredParameter {
  name: string;
  /** `const`, `let` or `var`; empty in languages that have no such word. */
  keyword: string;
  /** Its type, when the cell writes one. */
  type: string | undefined;
  /** The type that its default has, when it can be read off it. */
  inferred: string | undefined;
  /** Its default, as source text. */
  initialiser: string | undefined;
  /** The comment at its line or above it. */
  help: string;
}

export interface GivenParameter {
  declared: DeclaredParameter;
  value: ParameterValue;
}

/** Parameters as notebooks of one language take them. */
export interface Translator {
  /** Begins a comment. */
  readonly comment: string;
  /** The parameters that a cell's source declares, in order. */
  declared(source: string): DeclaredParameter[];
  /** What runs when a cell does, in order. */
  statements(source: string): CellStatement[];
  /**
   * Values of the wrong type, by the types in the cell.
   * @param source the `parameters` cell
   * @param folder the notebook's, where its imports resolve from
   */
  check(source: string, given: readonly GivenParameter[], folder: string): WrongParameter[];
  /** The line that declares it anew. */
  assign(given: GivenParameter): string;
}

export interface WrongParameter {
  given: GivenParameter;
  /** Its type, in words for "must be …". */
  expected: string;
  /** Why the value is not of it; empty when there is no more to say. */
  why: string;
}
