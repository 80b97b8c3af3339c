/** Groups of tokens by what they stand for, as the literature on information flow names them. */
import { ModalscopeError } from "../../errors.js";
import type { Batch } from "../batch/index.js";

/**
 * Visual tokens, the text in an image's place, the question's text, the last token, and all text (every token that is
 * not visual).
 */
export type TokenGroup = "Image" | "Passage" | "Question" | "Last" | "Text";

/** From keys to queries: "Image→Last" is what the last token reads off the image. */
export type AttentionRoute = `${TokenGroup}→${TokenGroup}`;

const GROUPS: Readonly<Record<TokenGroup, (batch: Batch) => readonly (readonly number[])[]>> = {
  Image: ({ visual }) => visual,
  Passage: ({ passage }) => passage,
  // Where a prompt ends with the question, its last token is a group by itself.
  Question: ({ question, last }) => question.map((columns, b) => columns.filter((c) => c !== last[b])),
  Last: ({ last }) => last.map((column) => [column]),
  Text: ({ tokenPositions, visual }) =>
    tokenPositions.map((columns, b) => {
      const images = new Set(visual[b]);
      return columns.filter((c) => !images.has(c));
    }),
};

export interface RouteEnds {
  /** Columns of the keys, by row, and of the queries. */
  readonly keys: readonly (readonly number[])[];
  readonly queries: readonly (readonly number[])[];
}

/**
 * The columns at the two ends of a route.
 * @throws ModalscopeError for an unknown route, and where a row has no token of a group
 */
export function routeEnds(batch: Batch, route: AttentionRoute): RouteEnds {
  const ends = route.split("→").map((name) => {
    if (!Object.hasOwn(GROUPS, name)) {
      throw new ModalscopeError(
        `"${route}" is no route between groups of tokens.`,
        `Groups are ${Object.keys(GROUPS).join(", ")}.`,
        'Write keys→queries, such as "Image→Last".',
      );
    }
    const columns = GROUPS[name as TokenGroup](batch);
    const row = columns.findIndex((own) => own.length === 0);
    if (row >= 0) {
      throw new ModalscopeError(
        `Row ${row} has no tokens of the group ${name}.`,
        `"${route}" needs some in every row.`,
        "Leave the row out, or choose another route.",
      );
    }
    return columns;
  });
  return { keys: ends[0], queries: ends[1] };
}
