/** One colour per concept in the figures of all studies. */

/** Colours by concept. Concepts that meet in one figure differ, and opposites lie on either side: blue and vermilion. */
const COLOURS = {
  // Tokens and questions.
  easy: "#56b4e9",
  hard: "#cc79a7",
  content: "#e69f00",
  true: "#009e73",
  hallucinated: "#d55e00",
  // Modalities, and what one of them alone brings.
  visual: "#0072b2",
  text: "#d55e00",
  joint: "#009e73",
  synergy: "#cc79a7",
  // A subspace, what is left of the space, and all of it.
  Z: "#0072b2",
  "Z⊥": "#d55e00",
  full: "#009e73",
  "other layers": "#cc79a7",
  // A fit as the document writes it, where another one is judged.
  "as written": "#cc79a7",
  // Languages.
  English: "#56b4e9",
  Chinese: "#e69f00",
  // The model under study, what it was made from or lacks, and what holds nothing.
  model: "#0072b2",
  "skipped blocks": "#e69f00",
  "language model": "#cc79a7",
  planted: "#009e73",
  null: "#808080",
} as const;

/** Concept that has the same colour in every study. */
export type Concept = keyof typeof COLOURS;

/** Hex colour of each concept: `lines([{ name: "true objects", y, color: concepts.true }])`. */
export const concepts: Readonly<Record<Concept, string>> = COLOURS;
