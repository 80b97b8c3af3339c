/** The study's figures, one for each experiment. */
import { piecewiseLine, rateInterval } from "../../analysis/index.js";
import { concepts, type Figure, facets, lines, regions, rules, type Series } from "../../plot/index.js";
import type { TracingBeside } from "./beside.js";
import { DOCUMENT_LAYERS, READOUT } from "./depths.js";
import { meanOfRows, meanOver } from "./drawing.js";
import {
  flowFinding,
  geometryFinding,
  probesFinding,
  tracingFinding,
  truncationFinding,
  twinsFinding,
} from "./findings.js";
import type {
  Flow,
  Geometry,
  Probes,
  Pruning,
  Routing,
  Rows,
  SampleGrade,
  Tracing,
  Truncated,
  Truncation,
  Twins,
} from "./parts.js";
import { harmOf } from "./tracing-claims.js";

const DEPTH = "depth (share of the blocks)";
const WINDOW = {
  from: READOUT.from / DOCUMENT_LAYERS,
  to: READOUT.to / DOCUMENT_LAYERS,
  label: "the document's window",
  color: "#e69f00",
} as const;

const windowed = (figure: Figure): Figure => regions(figure, WINDOW);
const starts = (count: number): number[] => Array.from({ length: count }, (_, l) => l / count);
const ends = (count: number): number[] => Array.from({ length: count }, (_, l) => (l + 1) / count);

/** Columns of rows (samples, layers): (layers, samples), as curves with a bootstrap band are given. */
const columns = (rows: Rows): number[][] => rows[0].map((_, l) => rows.map((row) => row[l]));

/** Harm by depth, hard and easy, with the three pieces of the hard curve; other corruptions and restoration beside. */
export function tracingFigure(main: Tracing, { corruptions, restored }: TracingBeside): Figure {
  const blocks = main.delta[0].length;
  const of = (grade: SampleGrade): Series[] => {
    const { harm } = harmOf(main, grade);
    return harm.length < 2
      ? []
      : [{ name: grade, color: concepts[grade], y: columns(harm), x: starts(blocks) }];
  };
  const { harm } = harmOf(main, "hard");
  const pieces: Series[] =
    harm.length >= 2 && blocks >= 9
      ? [
          {
            name: "hard, three straight pieces",
            color: concepts.hard,
            dash: "dot",
            x: starts(blocks),
            y: Array.from(piecewiseLine(meanOfRows(harm), { segments: 3 }).fitted),
          },
        ]
      : [];
  const others = Object.entries(corruptions).map(([name, part]): Series => {
    const rows = part.delta.map((row) => row.map((value) => -value));
    return { name, y: columns(rows), x: starts(rows[0].length) };
  });
  const options = { x: DEPTH, y: "harm −δ (nats)", band: "bootstrap", markers: false } as const;
  const panels: Record<string, Figure> = {
    "corrupted from here on": windowed(lines([...of("hard"), ...of("easy"), ...pieces], options)),
  };
  if (others.length > 0) panels["other corruptions"] = windowed(lines(others, options));
  if (restored) {
    const kept = restored.delta.map((row) => row.map((value) => -value));
    const curve = { name: "restored", color: concepts.visual, y: columns(kept), x: starts(kept[0].length) };
    panels["corrupted up to here, then restored"] = windowed(lines([curve], options));
  }
  return facets(panels, {
    title: tracingFinding(main),
    columns: 3,
    share: "x",
  });
}

/** Rates by depth with Wilson's intervals. */
function rateSeries(name: string, { layers, right }: Truncated, blocks: number, color?: string): Series {
  const all = layers.map((_, l) => rateInterval(right.map((row) => row[l])));
  return {
    name,
    color,
    x: layers.map((l) => l / blocks),
    y: all.map(({ estimate }) => estimate),
    low: all.map(({ low }) => low),
    high: all.map(({ high }) => high),
  };
}

/** Accuracy by the depth from which visual tokens are truncated. */
export function truncationFigure(truncation: Truncation): Figure {
  const { by, blocks, right, blind } = truncation;
  const named = { mean: "held-out mean", zero: "zero", hidden: "masked" } as const;
  const series = Object.entries(by).map(([kind, truncated]) =>
    rateSeries(named[kind as keyof typeof named], truncated, blocks),
  );
  const figure = lines(series, {
    x: `${DEPTH} from which they are truncated`,
    y: "accuracy",
    title: truncationFinding(truncation),
    subtitle: `Wilson's 95% intervals; one question in ${right.length} is ${(1 / right.length).toFixed(3)}`,
  });
  return windowed(
    rules(figure, [
      { y: meanOver(right), label: "with all", end: "left" },
      { y: meanOver(blind), label: "without the image" },
    ]),
  );
}

/** Geometry by depth, each measure with its floor. */
export function geometryFigure(geometry: Geometry): Figure {
  const { icc, visualRank, textRank, cka } = geometry;
  const x = ends(icc.curve.length);
  const options = { x: DEPTH, band: "bootstrap", markers: false } as const;
  return facets(
    {
      "visual ICC(1)": lines(
        [
          { name: "visual tokens", color: concepts.visual, y: columns(icc.draws), x },
          { name: "shuffled among images", color: concepts.null, y: columns(icc.shuffled), x },
        ],
        { ...options, band: "quartiles" },
      ),
      "effective rank, visual": lines(
        [{ name: "visual tokens", color: concepts.visual, y: columns(visualRank), x }],
        options,
      ),
      "effective rank, text": lines(
        [
          { name: "text with the image", color: concepts.text, y: columns(textRank.withImage), x },
          { name: "text alone", color: concepts.text, dash: "dot", y: columns(textRank.textOnly), x },
        ],
        options,
      ),
      "cross-modal CKA (debiased)": lines(
        cka.sizes.flatMap((size, s): Series[] => [
          { name: `${size} samples`, y: cka.value[s], x },
          { name: `${size}, shuffled`, y: cka.floor[s], x, color: concepts.null, dash: "dot" },
        ]),
        { x: DEPTH, markers: false },
      ),
    },
    {
      title: geometryFinding(geometry),
      subtitle: `CKA exceeds its permutation floor in ${cka.sizes.map((size, s) => `${Math.round(100 * cka.power[s])}% of draws of ${size}`).join(", ")}`,
      share: "x",
      columns: 2,
    },
  );
}

/** Attention between text and image, and the router's entropy. */
export function flowFigure(flow: Flow, routing: Routing | undefined): Figure {
  const x = ends(flow.toImage[0].length);
  const even = flow.toImage.map((_, i) => x.map(() => flow.even[i]));
  const panels: Record<string, Figure> = {
    attention: windowed(
      lines(
        [
          { name: "text to visual tokens", color: concepts.text, y: columns(flow.toImage), x },
          { name: "if it were even", color: concepts.null, dash: "dot", y: columns(even), x },
          { name: "visual tokens to text", color: concepts.visual, y: columns(flow.toText), x },
        ],
        { x: DEPTH, y: "share of the attention", band: "bootstrap", markers: false },
      ),
    ),
  };
  if (routing)
    panels["router's entropy"] = windowed(
      lines(
        [
          { name: "at visual tokens", color: concepts.visual, y: routing.entropy.visual, x },
          { name: "at text tokens", color: concepts.text, y: routing.entropy.text, x },
        ],
        { x: DEPTH, y: "bits", markers: false },
      ),
    );
  return facets(panels, { title: flowFinding(flow), share: "x" });
}

/** Figure of probes on the last token, and of the experts that both kinds of token share. */
export function probesAndRoutingFigure(probes: Probes | undefined, routing: Routing | undefined): Figure {
  const panels: Record<string, Figure> = {};
  if (probes) {
    const x = starts(probes.right[0].length).map((_, l) => l / (probes.right[0].length - 1));
    panels["probe on the last token"] = windowed(
      lines(
        [
          { name: "accuracy", color: concepts.text, y: columns(probes.right), x },
          { name: "shuffled labels", color: concepts.null, y: probes.chance, x },
        ],
        { x: DEPTH, y: "accuracy", band: "bootstrap", markers: false },
      ),
    );
  }
  if (routing) {
    const x = ends(routing.jaccard[0].length);
    const pair = (name: string, rows: Rows, floor: Rows, y: string): void => {
      panels[name] = windowed(
        lines(
          [
            { name: "visual and text", color: concepts.visual, y: columns(rows), x },
            { name: "kinds shuffled", color: concepts.null, y: columns(floor), x },
          ],
          { x: DEPTH, y, band: "bootstrap", markers: false },
        ),
      );
    };
    pair("shared experts (Jaccard)", routing.jaccard, routing.jaccardFloor, "Jaccard index");
    pair("divergence of the loads", routing.divergence, routing.divergenceFloor, "JSD (bits)");
  }
  return facets(panels, {
    title: probesFinding(probes),
    share: "x",
    columns: 3,
  });
}

/** Truncated passages of text-only twins beside truncated images, and accuracy by the compute that pruning leaves. */
export function twinsAndPruningFigure(twins: Twins | undefined, pruning: Pruning | undefined): Figure {
  const panels: Record<string, Figure> = {};
  if (twins)
    panels["truncated passage, truncated image"] = windowed(
      lines(
        [
          rateSeries("image", twins.image, twins.blocks, concepts.visual),
          rateSeries("passage", twins.text, twins.blocks, concepts.text),
        ],
        { x: DEPTH, y: "accuracy", markers: false },
      ),
    );
  if (pruning) {
    const byRule = [...new Set(pruning.plans.map(({ rule }) => rule))].map((rule): Series => {
      const own = pruning.plans.filter((plan) => plan.rule === rule);
      const all = own.map(({ right }) => rateInterval(right));
      return {
        name: rule,
        x: own.map(({ compute }) => compute),
        y: all.map((e) => e.estimate),
        low: all.map((e) => e.low),
        high: all.map((e) => e.high),
      };
    });
    panels["visual tokens kept before the window"] = rules(
      lines(byRule, { x: "share of the blocks' compute", y: "accuracy", markers: true, xRange: [0, 1.05] }),
      { y: meanOver(pruning.right), label: "all kept" },
    );
  }
  return facets(panels, { title: twinsFinding(twins, pruning), share: false });
}
