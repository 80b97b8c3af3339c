/** The model card: what was trained, on what, and what was measured. */
import type { Estimate } from "../../../lib/analysis/index.js";
import type { Accuracy, TrialResult } from "./evaluate.js";
import type { Finding, Recipe, Trial } from "./recipe.js";
import type { Curves } from "./state.js";

const percent = (x: number): string => (100 * x).toFixed(1);
const interval = ({ estimate, low, high }: Estimate): string =>
  `${percent(estimate)} (${percent(low)}–${percent(high)})`;

/** What was measured. */
export interface Evaluation {
  readonly trials: readonly Trial[];
  /** Of each trial. */
  readonly results: readonly TrialResult[];
  readonly findings: readonly Finding[];
}

/** README.md of a checkpoint, which is named after its folder. */
export function modelCard(
  recipe: Recipe,
  name: string,
  curves: Curves,
  { trials, results, findings }: Evaluation,
): string {
  const stages = curves.stages.map(({ name, steps, rows, rate, seconds, loss }) => {
    const last = loss[loss.length - 1]?.[1] ?? Number.NaN;
    return `| ${name} | ${steps} | ${rows} | ${rate} | ${last.toFixed(3)} | ${(seconds / 60).toFixed(0)} |`;
  });
  const vision = Object.keys(recipe.files).length > 0;
  const sections = results.map((result, i) => section(trials[i], result));
  return `---
license: mit
language: [${recipe.languages.join(", ")}]
${vision ? "pipeline_tag: image-text-to-text\n" : ""}---
# ${name}

${recipe.description}

${(curves.parameters / 1e6).toFixed(2)} million parameters. It serves to show methods on a laptop; it knows nothing but the tasks below.
Trained from random weights with the project's own gradients, seed ${curves.seed}:

    ${commandOf(recipe, name, curves.seed)}

| stage | steps | rows a step | largest rate | last loss, nats | minutes |
|---|---|---|---|---|---|
${stages.join("\n")}

\`training.json\` has the curves, \`evaluation.json\` the numbers below.

${[...(sections.length > 0 ? [QUESTIONS] : []), ...sections, ...findings.map(table)].join("\n\n")}
`;
}

/** The command that trains it; a twin of the recipe's own checkpoint has another seed and folder. */
function commandOf({ name, seed, needs }: Recipe, folder: string, trained: number): string {
  const twin = trained === seed ? [] : [`--seed ${trained} --out data/models/${folder}`];
  return ["npm run train --", name, ...(needs ? [needs] : []), ...twin].join(" ");
}

const QUESTIONS = `## Held-out questions

Accuracy in per cent with 95 % Wilson intervals. *Blind* is the same question without its image; *commonest* is
what always giving the most frequent answer to this type of question would score.`;

function table({ name, about, columns, rows }: Finding): string {
  const cell = (x: string | number | Estimate): string =>
    typeof x === "string"
      ? x
      : typeof x === "number"
        ? String(Number(x.toFixed(3)))
        : `${interval(x)} % of ${x.n}`;
  const lines = [columns, columns.map(() => "---"), ...rows.map((row) => row.map(cell))];
  return [`## ${name}`, "", about, "", ...lines.map((line) => `| ${line.join(" | ")} |`)].join("\n");
}

function section(trial: Trial, { name, accuracy, descriptions }: TrialResult): string {
  const rows = accuracy.map(
    ({ type, seen, blind, commonest }: Accuracy) =>
      `| ${type} | ${seen.n} | ${interval(seen)} | ${interval(blind)} | ${percent(commonest)} |`,
  );
  const table =
    rows.length === 0
      ? []
      : ["| type | questions | with the image | blind | commonest |", "|---|---|---|---|---|", ...rows];
  const described = descriptions
    ? [
        "",
        `${descriptions.count} descriptions, scored as AMBER scores them: something that is not there in ${interval(descriptions.hallucinating)} % of them (Hal);`,
        `CHAIR ${percent(descriptions.chair)}, Cover ${percent(descriptions.cover)}, Cog ${percent(descriptions.cog)}.`,
      ]
    : [];
  const whole = accuracy[accuracy.length - 1];
  const worth = whole ? ["", worthOf(whole)] : [];
  const published = trial.published ? ["", trial.published] : [];
  return [`### ${name}`, "", ...table, ...worth, ...described, ...published].join("\n");
}

/** Points between blind and seen from which on a checkpoint is taken to use its images. */
const NEEDED = 20;

function worthOf({ seen, blind }: Accuracy): string {
  const points = 100 * (seen.low - blind.estimate);
  const verdict =
    points >= NEEDED ? "so it uses them" : `**short of the ${NEEDED} that would show that it uses them**`;
  return `Of all together, the interval with images begins ${points.toFixed(1)} points above the accuracy without: ${verdict}.`;
}
