export type Layout = "form" | "letter" | "table" | "receipt";

/** A page: what it says, each value under its key, from the top. A table's keys are names, a receipt's are goods. */
export interface PageScene {
  readonly layout: Layout;
  readonly fields: readonly (readonly [key: string, value: string])[];
}
