/** The study's answer in words and tables. */
import { type Estimate, estimatePid, type PidFigure } from "../../analysis/index.js";
import { formatPercent, type Rows } from "../../plot/index.js";
import { type ClaimsMatrix, modelCells, tallyText } from "../index.js";
import { joined, shareOf, total } from "./curves.js";
import type { Decomposition } from "./decompose.js";

/** Five lines of Markdown, computed. @param reported the document's figures, as shares. */
export function answerText(
  matrix: ClaimsMatrix,
  { tasks, depths, knockouts, refused }: Decomposition,
  reported: { readonly languageUniqueAtEnd: number; readonly synergyBelow: number },
): string {
  const cells = modelCells(matrix);
  const tests = tasks.flatMap(({ normality }) => normality);
  const failed = tests.filter(({ accepted }) => !accepted).length;
  const lines = [
    `On the model: **${tallyText(cells)}**.`,
    `States are not jointly Gaussian in ${failed} of ${tests.length} tasks and layers; there the atoms are not testable, whatever they are.`,
  ];
  if (tasks.length > 0) {
    const { boot, grid } = joined(tasks);
    const read = grid(boot.observed);
    const curve = depths.map((_, s) => total(read, s, "uniqueX"));
    const at = depths[curve.indexOf(Math.max(...curve))];
    const end = depths.length - 1;
    const synergy = Math.max(...depths.map((_, s) => shareOf(read, s, "synergy")));
    lines.push(
      `The document's pipeline gives: vision-unique largest at ${formatPercent(at)} of the depth; language-unique ` +
        `${formatPercent(shareOf(read, end, "uniqueY"))} at the end (document: ${formatPercent(reported.languageUniqueAtEnd)}); ` +
        `synergy up to ${formatPercent(synergy)} (document: below ${formatPercent(reported.synergyBelow)}).`,
    );
  }
  lines.push(
    knockouts.length > 0
      ? `Cutting Image→Question loses ${lostText(knockouts, "cut")} of the right answers, as many other edges ${lostText(knockouts, "control")}.`
      : "No knockout could be decomposed.",
    `${plantedText(matrix)}${refused.length > 0 ? `; left out: ${refused.map(({ task }) => task).join(", ")}` : ""}.`,
  );
  return lines.map((line, i) => `${i + 1}. ${line}`).join("\n");
}

function lostText(knockouts: Decomposition["knockouts"], run: "cut" | "control"): string {
  const fine = knockouts.flatMap(({ right }) =>
    right.clean.flatMap((own, i) => (own ? [right[run][i]] : [])),
  );
  return fine.length === 0 ? "none" : formatPercent(fine.filter((own) => !own).length / fine.length);
}

function plantedText({ claims, checkpoints, cells }: ClaimsMatrix): string {
  const others = checkpoints.flatMap(({ role }, j) => (role === "model" ? [] : [j]));
  const built = claims.flatMap((claim, i) =>
    others.flatMap((j) => (claim.planted.has(checkpoints[j].id) ? [!cells[i][j].unexpected] : [])),
  );
  const fooled = claims.flatMap((claim, i) =>
    others.flatMap((j) =>
      cells[i][j].unexpected && !claim.planted.has(checkpoints[j].id)
        ? [`${claim.id} on ${checkpoints[j].name}`]
        : [],
    ),
  );
  if (others.length === 0) return "Neither a null nor a planted checkpoint was run";
  const right = built.filter(Boolean).length;
  return `Where the truth is known ${right} of ${built.length} verdicts are as built; supported by a null: ${fooled.join(", ") || "none"}`;
}

/** Atoms of the last state by task, each beside the null of two equal channels at the same spectrum, size and dimension. */
export function nullTable({ tasks }: Decomposition, seed = 0): Rows {
  return tasks.map(({ task, samples, clusters, normality }) => {
    const own = new Set(clusters).size < clusters.length ? clusters : undefined;
    const { broja, mmi, n } = estimatePid(samples[samples.length - 1], { draws: 40, seed, clusters: own });
    return {
      task: `${task} (n = ${n})`,
      "vision-unique, null": beside(broja.uniqueX),
      "language-unique, null": beside(broja.uniqueY),
      "synergy, null": beside(broja.synergy),
      "synergy by MMI": bits(mmi.synergy),
      "joint test": normality[normality.length - 1].accepted ? "passes" : "refuses: not testable",
    };
  });
}

const beside = (figure: PidFigure): string =>
  `${bits(figure)}, ${figure.null.low.toFixed(2)} to ${figure.null.high.toFixed(2)}`;

/** "0.52 [0.08, 0.93]" */
const bits = ({ estimate, low, high }: Estimate): string =>
  `${estimate.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
