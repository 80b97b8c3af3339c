/** The four hypotheses of the document, each by the claims that it rests on. */
import { markdown } from "../../plot/index.js";
import { type Cell, type ClaimsMatrix, modelCells, verdictText } from "../index.js";

/** A hypothesis and its claims: the first one decides, the others are told beside it. */
const HYPOTHESES = [
  {
    name: "Late-Stage Readout",
    claims: ["lateReadout", "truncationStep", "flowPeak", "probeLate", "visionSpecific"],
  },
  { name: "Routing-Driven Phase Transition", claims: ["routingDriven", "expertOverlapRises"] },
  {
    name: "Modality Assimilation comes too early",
    claims: ["assimilationMistimed", "iccJump", "truncationFlat"],
  },
  { name: "no Modality Cliff, no Geometry Collapse", claims: ["noCollapse", "evdGap", "textRankGeneral"] },
] as const;

/** The answer: one line for each hypothesis, with the reason of the claim that decides it. */
export function answer(matrix: ClaimsMatrix): ReturnType<typeof markdown> {
  const cells = modelCells(matrix);
  const cellOf = (id: string): Cell => cells[matrix.claims.findIndex((claim) => claim.id === id)];
  const lines = HYPOTHESES.map(({ name, claims: [first, ...others] }) => {
    const cell = cellOf(first);
    const beside = others.map((id) => `${id} ${verdictText(cellOf(id))}`).join("; ");
    return `- **${name}: ${verdictText(cell)}.** ${shortened(cell.because)} Beside it: ${beside}.`;
  });
  return markdown(lines.join("\n"));
}

/** Up to the first test's reason, so that five lines stay five lines. */
function shortened(text: string): string {
  const [first] = text.split("; ");
  return `${first.charAt(0).toUpperCase()}${first.slice(1)}.`;
}
