/** Figures of the study; titles say what was found. */
import { mean } from "simple-statistics";
import { absoluteThreshold, fitBridge, meanInterval, rateInterval, takeRows } from "../../analysis/index.js";
import {
  concepts,
  type Figure,
  type ForestRow,
  facets,
  forest,
  formatInterval,
  formatPercent,
  lines,
  rules,
  type Series,
  type Table,
  table,
} from "../../plot/index.js";
import { seeded } from "../../random.js";
import type { Untestable } from "../evidence.js";
import { leftOut } from "./data-claims.js";
import type {
  BridgePart,
  LengthscalesPart,
  Measurements,
  Parts,
  PatchesPart,
  ShiftsPart,
  UpdatesPart,
  WeightsPart,
} from "./parts.js";
import type { PatchOutcome } from "./patch.js";

const FIGURES: {
  readonly [P in "weights" | "shifts" | "patches" | "updates" | "lengthscales" | "bridge"]: (
    part: Parts[P],
  ) => Figure;
} = {
  weights: weightsFigure,
  shifts: shiftFigure,
  patches: patchFigure,
  updates: updatesFigure,
  lengthscales: lengthscalesFigure,
  bridge: bridgeFigure,
};

/** The figure of one part, or a table that says why it was not measured. */
export function partFigure<P extends keyof typeof FIGURES>(measured: Measurements, name: P): Figure | Table {
  const part: Parts[P] | Untestable = measured[name];
  if ("untestable" in part) return table([{ "not measured": part.untestable }]);
  return FIGURES[name](part as Parts[P]);
}

/** Effective ranks, the FFN's energy in Z and the similarity of neighbours, by layer. */
export function weightsFigure({ ranks, energies, similarity, primary, sizes, width }: WeightsPart): Figure {
  const chosen = { x: primary, label: "patched" };
  const perHead = ranks.map((heads) => meanInterval(heads));
  const alike = similarity.map((own) => mean([...own]));
  return facets(
    {
      "effective rank of heads, share of head size": rules(
        lines([intervals("", perHead, concepts.model)], { x: "layer", y: "share" }),
        chosen,
      ),
      "energy of FFN writes in Z, times chance": rules(
        lines([{ y: energies, color: concepts.Z }], { x: "layer", y: "times chance" }),
        [chosen, { y: 1, label: "chance" }],
      ),
      "similarity of Z to the next layer's": rules(
        lines([{ y: alike, color: concepts.Z }], { x: "layer", y: "squared cosine" }),
        [chosen, { y: sizes.main / width, label: "chance" }],
      ),
    },
    {
      title: `Similarity falls most behind layers ${primary} and ${primary + 1}`,
      subtitle: `from weights alone; k = ${sizes.main}`,
      columns: 1,
      share: "x",
      panelHeight: 150,
    },
  );
}

/** Directed shift towards the donor's answer under each patch, with random subspaces' as a band. */
export function shiftFigure({ z, complement, full, random, problems }: ShiftsPart): Figure {
  const row = (name: string, values: readonly number[], color: string): ForestRow => ({
    name,
    ...ends(meanInterval(values, { clusters: problems })),
    color,
    group: name,
  });
  const chance = random.map((own) => mean([...own]));
  const rows = [
    row("Z", z, concepts.Z),
    ...(complement ? [row("Z⊥", complement, concepts["Z⊥"])] : []),
    row("full", full, concepts.full),
  ];
  const [own, others] = [mean([...z]), mean(chance)].map((shift) => formatPercent(shift / mean([...full])));
  return forest(
    rows.map((row) =>
      row.name === "Z" ? { ...row, null: [Math.min(...chance), Math.max(...chance)] as const } : row,
    ),
    {
      title: `The Z-patch shifts answers by ${own} of what the full patch does, random subspaces by ${others}`,
      subtitle: `mean and 95% interval over ${new Set(problems).size} problems, all donors; grey: random subspaces of Z's size`,
      x: "shift towards the donor's answer (nats)",
    },
  );
}

const OUTCOMES: readonly (readonly [string, (outcome: PatchOutcome) => boolean])[] = [
  ["another number", ({ changed }) => changed],
  ["turned to Chinese", ({ turned }) => turned],
  ["no words", ({ wordless }) => wordless],
];

/** What generation does under each patch, with random subspaces and their complements as bands. */
export function patchFigure({ chosen, random, full, problems }: PatchesPart): Figure {
  const panel = (flag: (outcome: PatchOutcome) => boolean): Figure => {
    const rate = (own: readonly PatchOutcome[]) => rateInterval(own.map(flag), { clusters: problems });
    const band = (side: "set" | "complement"): readonly [number, number] => {
      const all = random.map((own) => rate(own[side]).estimate);
      return [Math.min(...all), Math.max(...all)];
    };
    return forest(
      [
        { name: "Z", ...ends(rate(chosen.set)), null: band("set"), color: concepts.Z, group: "Z" },
        {
          name: "Z⊥",
          ...ends(rate(chosen.complement)),
          null: band("complement"),
          color: concepts["Z⊥"],
          group: "Z⊥",
        },
        { name: "full", ...ends(rate(full)), color: concepts.full, group: "full" },
      ],
      { x: "share of the answers", xRange: [0, 1], xFormat: ".0%" },
    );
  };
  const changed = (...all: readonly (readonly PatchOutcome[])[]): string => {
    const outcomes = all.flat();
    return formatPercent(outcomes.filter((outcome) => outcome.changed).length / outcomes.length);
  };
  const [sets, complements] = [random.map(({ set }) => set), random.map(({ complement }) => complement)];
  return facets(Object.fromEntries(OUTCOMES.map(([name, flag]) => [name, panel(flag)])), {
    title: `Z changes ${changed(chosen.set)} of the answers (random subspaces ${changed(...sets)}), Z⊥ ${changed(chosen.complement)} (their complements ${changed(...complements)})`,
    subtitle: `English from the same problem in Chinese, ${problems.length} problems; grey: random subspaces and their complements`,
    columns: 1,
    share: "x",
    panelHeight: 120,
  });
}

const least = (values: readonly number[]): number => Math.min(...values);
const largest = (values: readonly number[]): number => Math.max(...values);

/** R(k) by language on a log axis, with what the Z of other layers and random subspaces of its size give. */
export function updatesFigure({ z, random, others, chance, problems, languages }: UpdatesPart): Figure {
  const curve = (language: "en" | "zh", name: "English" | "Chinese"): Series => {
    const own = languages.flatMap((one, i) => (one === language ? [i] : []));
    const estimates = z.map((row) => meanInterval(own.map((i) => row[i])));
    return intervals(name, estimates, concepts[name]);
  };
  const band = (name: string, all: UpdatesPart["random"], color: string): Series[] => {
    const at = z.map((_, l) => all.map((own) => mean([...own[l]])));
    const [y, low, high] = [mean, least, largest].map((of) => at.map((own) => of(own)));
    return all.length > 0 ? [{ name, y, low, high, color }] : [];
  };
  const both = z.map((row) => mean([...row]));
  const most = both.indexOf(Math.max(...both));
  const timesChance = (ratio: number): string => `${(ratio / chance).toFixed(1)} times chance`;
  const drawn = lines(
    [
      curve("en", "English"),
      curve("zh", "Chinese"),
      ...band("Z of other layers", others, concepts["other layers"]),
      ...band("random subspaces", random, concepts.null),
    ],
    {
      title: `R is largest at block ${most}: ${timesChance(both[most])}${others.length > 0 ? `, in the Z of other layers ${timesChance(mean(others.map((own) => mean([...own[most]]))))}` : ""}`,
      subtitle: `mean and 95% interval over ${new Set(problems).size} problems; of other layers and random subspaces mean and range`,
      x: "block",
      y: "R",
      yLog: true,
    },
  );
  return rules(drawn, { y: chance, label: "chance" });
}

/** Sorted lengthscales of the fits, and how many dimensions survive at each layer. */
export function lengthscalesFigure({
  fit,
  asWritten,
  sizes,
  dimensions,
  overlap,
  k,
}: LengthscalesPart): Figure {
  const sorted = (own: Float64Array): number[] => Array.from(own, Math.log10).sort((a, b) => a - b);
  const dashes = ["dot", "dash", "solid"] as const;
  const cold = asWritten.filter(({ start }) => start === "cold");
  const limit = absoluteThreshold(dimensions);
  const panels: Record<string, Figure> = {
    "log₁₀ lengthscale, dimensions in order": rules(
      lines(
        [
          { name: "bandwidth held", y: sorted(fit.lengthscales), color: concepts.Z },
          ...cold.map(({ fit: own }, i) => ({
            name: `as written, λ = ${own.lambda}${own.trivial ? " (trivial)" : ""}`,
            y: sorted(own.lengthscales),
            color: concepts["as written"],
            dash: dashes[i % dashes.length],
          })),
        ],
        { x: "dimension", y: "log₁₀ ℓ", markers: false },
      ),
      { y: Math.log10(limit), label: "threshold" },
    ),
  };
  if (sizes.length > 0)
    panels[`dimensions below the threshold, of ${dimensions}, by layer`] = rules(
      lines(
        [
          {
            name: "bandwidth held",
            x: sizes.map(({ layer }) => layer),
            y: sizes.map(({ size }) => size),
            color: concepts.Z,
          },
        ],
        { x: "layer", y: "dimensions", yRange: [0, 1.2 * Math.max(k, ...sizes.map(({ size }) => size))] },
      ),
      { y: k, label: "size of Z" },
    );
  const times = mean([...overlap.values]);
  const chance = mean(overlap.nulls.map((own) => mean([...own])));
  return facets(panels, {
    title: `The ${k} shortest lengthscales hold ${times.toFixed(2)} times chance of Z, ${chance.toFixed(2)} times of random subspaces`,
    subtitle: `cold start, bandwidth held; the fit ends at a ${fit.stopped} after ${fit.steps} steps`,
    columns: 1,
    share: false,
    panelHeight: 220,
  });
}

/** Singular values of the least-squares bridge, with those of shuffled pairs. */
export function bridgeFigure(part: BridgePart): Figure {
  const { english, chinese } = part;
  const order = [...Array(english.shape[0]).keys()];
  const random = seeded(0);
  const dealt = Array.from({ length: 19 }, () => takeRows(chinese, random.shuffle(order)));
  const shuffled = dealt.map((own) => Array.from(fitBridge(english, own, { ridge: 0 }).spectrum));
  const chance = mean(dealt.map((own) => leftOut({ english, chinese: own }).estimate));
  const { spectrum } = fitBridge(english, chinese, { ridge: 0 });
  const at = Array.from(spectrum, (_, i) => shuffled.map((own) => own[i]));
  const drawn = lines(
    [
      { name: "translations", y: Array.from(spectrum), color: concepts.Z },
      {
        name: "shuffled pairs",
        y: at.map((own) => mean(own)),
        low: at.map((own) => Math.min(...own)),
        high: at.map((own) => Math.max(...own)),
        color: concepts.null,
      },
    ],
    {
      title: `Each pair predicted from the others: R² ${formatInterval(leftOut(part))}, shuffled pairs ${chance.toFixed(2).replace("-", "−")}`,
      subtitle: `singular values of W by least squares, ${english.shape[0]} problems; 1 everywhere is a rotation`,
      x: "place",
      y: "singular value",
    },
  );
  return rules(drawn, { y: 1, label: "rotation" });
}

function intervals(
  name: string,
  estimates: readonly { readonly estimate: number; readonly low: number; readonly high: number }[],
  color: string,
): Series {
  return {
    name,
    color,
    y: estimates.map(({ estimate }) => estimate),
    low: estimates.map(({ low }) => low),
    high: estimates.map(({ high }) => high),
  };
}

const ends = ({ estimate, low, high }: { estimate: number; low: number; high: number }) => ({
  estimate,
  low,
  high,
});
