/** A study's verdicts as a table and as a figure. Both take the whole matrix. */

import { didYouMean, ModalscopeError } from "../errors.js";
import { checkOptions, text } from "../options.js";
import {
  type Category,
  type Figure,
  type ForestRow,
  forest,
  formatInterval,
  type Rows,
  type Table,
  table,
  tiles,
} from "../plot/index.js";
import type { Claim, Verdict } from "./claims.js";
import type { Gate, GateRow } from "./gate.js";
import { type Cell, type ClaimsMatrix, modelCells } from "./matrix.js";
import { rangeOf, ruleText } from "./rules.js";

/** One colour and mark per verdict, in every study: Okabe & Ito's, and a light grey, told apart without colour by their marks. */
export const verdictStyles: Readonly<Record<Verdict, Omit<Category, "name">>> = {
  supported: { color: "#0072b2", mark: "✓" },
  contradicted: { color: "#d55e00", mark: "✗" },
  undecided: { color: "#e69f00", mark: "?" },
  "not testable": { color: "#b3b9c0", mark: "–" },
};

/** Beside a verdict that was taken back, and one that a checkpoint was not made for. */
const FLAG = "!";

/**
 * Claims, what was measured for them on the model, and the verdicts: a row for each test. "done" says that everything was
 * measured, which is no verdict.
 */
export function claimTable(matrix: ClaimsMatrix, options: { readonly caption?: string } = {}): Table {
  checkOptions("claimTable", options, { caption: text });
  const { caption } = options;
  const cells = modelCells(matrix);
  const rows = matrix.claims.flatMap((claim, i) =>
    perTest(claim, cells[i], {
      claim: `${claim.says} (${claim.where})`,
      done: cells[i].done ? "yes" : "no",
      verdict: [verdictText(cells[i]), cells[i].because].filter(Boolean).join(": "),
    }),
  );
  return table(rows, {
    caption: caption ?? `${matrix.title}: ${tallyText(cells)}`,
    columns: ["claim", "measured", "found", "rule", "done", "verdict"],
    spanning: ["claim", "done", "verdict"],
    limit: rows.length,
  });
}

/** Verdicts of all claims on all checkpoints as tiles; a mark shows which are not what the checkpoint was made for. */
export function matrixFigure(matrix: ClaimsMatrix, options: { readonly title?: string } = {}): Figure {
  checkOptions("matrixFigure", options, { title: text });
  const { title } = options;
  const { claims, checkpoints, cells } = matrix;
  const flagged = cells.flat().filter(({ unexpected, downgraded }) => unexpected || downgraded).length;
  return tiles(
    cells.map((row) =>
      row.map((cell) => ({
        category: cell.verdict,
        mark: verdictStyles[cell.verdict].mark + (cell.unexpected || cell.downgraded ? FLAG : ""),
        note: `${verdictText(cell)}: ${cell.because}`,
      })),
    ),
    {
      title: title ?? `On the model: ${tallyText(modelCells(matrix))}`,
      subtitle: `${FLAG} taken back, or not what the checkpoint was made for: ${flagged} of ${cells.flat().length}`,
      rows: claims.map(({ id }) => id),
      columns: checkpoints.map(({ name }) => name),
      categories: Object.entries(verdictStyles).map(([name, style]) => ({ name, ...style })),
    },
  );
}

/**
 * The tests of some claims on the model: what was measured, and what follows.
 * @throws ModalscopeError on a claim that the study does not have
 */
export function claimRows(matrix: ClaimsMatrix, ids: readonly string[]): Table {
  const known = matrix.claims.map(({ id }) => id);
  for (const id of ids)
    if (!known.includes(id))
      throw new ModalscopeError(`The study has no claim "${id}".`, "", didYouMean(id, known));
  const cells = modelCells(matrix);
  const rows = matrix.claims.flatMap((claim, i) =>
    ids.includes(claim.id)
      ? perTest(claim, cells[i], {
          claim: `${claim.says} (${claim.where})`,
          verdict: verdictText(cells[i]),
        })
      : [],
  );
  return table(rows, {
    caption: "What the document says, what this run measured",
    columns: ["claim", "measured", "found", "rule", "verdict"],
    spanning: ["claim", "verdict"],
    limit: rows.length,
  });
}

/** A row for each test of a claim; what is said of the claim stands in the first. */
function perTest(claim: Claim, { tests }: Cell, ofClaim: Readonly<Record<string, string>>): Rows {
  const measured = tests.flatMap(({ test, evidence }) => {
    const own = claim.tests.get(test);
    if (!own) return [];
    const found = evidence ? formatInterval(evidence.contrast) : "not measured";
    return [{ measured: own.measures, found, rule: ruleText(own.rule) }];
  });
  const [first = { measured: "", found: "not measured", rule: "" }, ...rest] = measured;
  return [{ ...ofClaim, ...first }, ...rest];
}

/**
 * What was measured on the model for some claims, as a forest plot: one row for each test, the nulls as a band, the rule's limits
 * as thin lines, the colour by the test's verdict, which the title counts. Rows of different units lie on one axis: choose
 * claims that share one.
 */
export function claimForest(
  matrix: ClaimsMatrix,
  ids: readonly string[],
  options: { readonly title?: string; readonly x?: string } = {},
): Figure | Table {
  checkOptions("claimForest", options, { title: text, x: text });
  const cells = modelCells(matrix);
  const shown = ids.flatMap((id) => {
    const rules = matrix.claims.find((claim) => claim.id === id)?.tests;
    const { tests = [] } = cells.find(({ claim }) => claim === id) ?? {};
    return tests.flatMap((result) => {
      const rule = rules?.get(result.test)?.rule;
      return rule && result.evidence ? [{ id, rule, ...result, evidence: result.evidence }] : [];
    });
  });
  const rows = shown.map(({ id, rule, test, evidence, verdict }): ForestRow => {
    const { estimate, low, high } = evidence.contrast;
    const { nulls = [], reference = 0, ceiling } = evidence;
    // Of a share the nulls are shares as well.
    const unit = ceiling?.full.estimate || 1;
    const chance = nulls.map((value) => (value - reference) / unit);
    const { from, to } = rangeOf(rule);
    return {
      name: `${id}, ${test}`,
      estimate,
      low,
      high,
      ...(chance.length > 0 ? { null: [Math.min(...chance), Math.max(...chance)] as const } : {}),
      limits: [from, to].filter(Number.isFinite),
      group: verdict,
      color: verdictStyles[verdict].color,
    };
  });
  if (rows.length === 0) return table([{ claims: ids.join(", "), measured: "nothing" }]);
  const { title, x = "measured, or its difference from what it is compared with" } = options;
  const banded = rows.some((row) => row.null !== undefined);
  return forest(rows, {
    title: [title, countText(shown)].filter(Boolean).join(": "),
    subtitle: `95% intervals; thin line: the rule's limit${banded ? "; grey: what nulls give" : ""}`,
    x,
  });
}

/** "2 of 9 tests supported, 7 undecided" */
function countText(tests: readonly { readonly verdict: Verdict }[]): string {
  const counts = (Object.keys(verdictStyles) as Verdict[]).flatMap((verdict) => {
    const count = tests.filter((own) => own.verdict === verdict).length;
    return count > 0 ? [{ verdict, count }] : [];
  });
  const of = `of ${tests.length} ${tests.length === 1 ? "test" : "tests"} `;
  return counts.map(({ verdict, count }, i) => `${count} ${i === 0 ? of : ""}${verdict}`).join(", ");
}

/** Accuracy by kind of task, with the blind one as a band that it must leave. */
export function gateFigure({ rows }: Gate, options: { readonly title?: string } = {}): Figure {
  checkOptions("gateFigure", options, { title: text });
  const { title } = options;
  const blindOf = ({ blind }: GateRow): readonly [number, number] =>
    typeof blind === "number" ? [0, blind] : [blind.low, blind.high];
  return forest(
    rows.map((row) => ({
      name: `${row.kind} (${row.accuracy.n})`,
      estimate: row.accuracy.estimate,
      low: row.accuracy.low,
      high: row.accuracy.high,
      null: blindOf(row),
      group: row.passed ? "passed" : "left out",
      color: row.passed ? verdictStyles.supported.color : verdictStyles.contradicted.color,
    })),
    {
      title:
        title ??
        `The model does ${rows.filter(({ passed }) => passed).length} of ${rows.length} kinds of task`,
      subtitle:
        "accuracy with its 95% interval; grey: without the image; a kind passes by the difference, over all kinds",
      x: "accuracy",
      xRange: [0, 1],
      xFormat: ".0%",
    },
  );
}

/** The answer in at most five lines: the headline claims with their verdicts, and why. */
export function answerLines(matrix: ClaimsMatrix): string {
  const cells = modelCells(matrix);
  const lines = matrix.claims.flatMap((claim, i) =>
    claim.headline ? [`- **${verdictText(cells[i])}**: ${claim.says}.`] : [],
  );
  return [`Of ${cells.length} claims ${tallyText(cells)}. Headlines:`, "", ...lines.slice(0, 5)].join("\n");
}

/** "3 supported, 1 contradicted, 2 undecided, 0 not testable" */
export function tallyText(cells: readonly { readonly verdict: Verdict }[]): string {
  return Object.keys(verdictStyles)
    .map((verdict) => `${cells.filter((cell) => cell.verdict === verdict).length} ${verdict}`)
    .join(", ");
}

/** "✓ supported (3 of 3 seeds)", "–! not testable" */
export function verdictText({ verdict, seeds, configurations, downgraded }: Cell): string {
  const counts = [
    seeds && seeds.of > 1 ? `${seeds.agree} of ${seeds.of} seeds` : "",
    configurations ? `${configurations.agree} of ${configurations.of} other configurations` : "",
  ].filter(Boolean);
  const agreed = counts.length > 0 && !downgraded ? ` (${counts.join(", ")})` : "";
  return `${verdictStyles[verdict].mark}${downgraded ? FLAG : ""} ${verdict}${agreed}`;
}
