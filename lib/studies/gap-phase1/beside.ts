/** Instruments beside the study's parts: other corruptions, restoration, the leak, knockouts; and tables of what they found. */
import { readFileSync } from "node:fs";
import {
  bootstrapDepth,
  type Estimate,
  effectiveVisualDepth,
  largestRebound,
  rateInterval,
} from "../../analysis/index.js";
import { logProb } from "../../model/index.js";
import {
  attentionKnockouts,
  firstTokenRight,
  imageAttention,
  restoration,
  truncation,
} from "../../model/methods/index.js";
import {
  type Figure,
  facets,
  formatInterval,
  type Html,
  imageOverlay,
  lines,
  type Table,
  table,
} from "../../plot/index.js";
import { encodePng, type TaskImage } from "../../tasks/index.js";
import { DOCUMENT_LAYERS } from "./depths.js";
import { meanOfRows } from "./drawing.js";
import { knockoutFinding } from "./findings.js";
import { measureTracing, type TracingCorruption } from "./measure-answers.js";
import type { Pruning, Rows, SampleGrade, Silencing, Tracing } from "./parts.js";
import { plantedQuestions } from "./questions.js";
import { onPlanted } from "./study.js";
import { ask, bySample, type Subject, someOf, tasksOf } from "./subject.js";
import { harmOf } from "./tracing-claims.js";

/** Tracing by other corruptions, and restoration after another image's tokens. */
export interface TracingBeside {
  readonly corruptions: Readonly<Record<string, Tracing>>;
  readonly restored: Tracing | undefined;
}

/** The other corruptions and restoration, on a few questions. */
export async function tracingBeside(subject: Subject, count: number): Promise<TracingBeside> {
  const few = { ...subject, samples: someOf(subject.samples, count) };
  const corruptions: Record<string, Tracing> = {};
  for (const kind of ["noise", "zero", "mean"] satisfies TracingCorruption[]) {
    const found = await measureTracing(few, { kind });
    if (!("untestable" in found)) corruptions[kind === "mean" ? "held-out mean" : kind] = found;
  }
  const restored = await measureTracing(few, { method: restoration });
  return { corruptions, restored: "untestable" in restored ? undefined : restored };
}

/** EVD as the document defines it, and two depths that are always defined; by grade. */
export function depthTable(
  tracing: Tracing,
  { tau, cliff }: { readonly tau: number; readonly cliff: number },
): Table {
  const rows = (["easy", "hard"] as const).flatMap((grade: SampleGrade) => {
    const { harm, clusters } = harmOf(tracing, grade);
    if (harm.length < 2) return [];
    const mean = meanOfRows(harm);
    const delta = mean.map((value) => -value);
    const evd = effectiveVisualDepth(delta, tau);
    const remaining = bootstrapDepth(harm, { clusters, draws: 400 });
    const rebound = largestRebound(delta);
    return [
      {
        questions: grade,
        [`EVD, τ = ${tau}`]: evd === undefined ? "no block reaches τ" : `block ${evd}`,
        "depth from which half of the harm or less remains": remaining
          ? formatInterval(remaining)
          : "no harm",
        "largest rebound": rebound ? `${rebound.size.toFixed(2)} nats at block ${rebound.layer}` : "none",
      },
    ];
  });
  const share = (cliff / DOCUMENT_LAYERS).toFixed(2);
  return table(rows, {
    caption: `Effective visual depth; the document's cliff is at ${cliff} of ${DOCUMENT_LAYERS} (${share})`,
  });
}

/** Table of the leak planted in `leak`, without and with DeepStack's injections among the edits. */
export async function leakTable(): Promise<Table> {
  const rows = await onPlanted("leak", 0, async (model) => {
    const samples = await plantedQuestions("leak").draw({ seed: 0, purpose: "study", count: 6 });
    const { batch, answers } = await ask(model, tasksOf(samples));
    const right = async (injections: "clean" | "corrupted"): Promise<string> => {
      const { values } = await truncation(model, batch, {
        corruption: { kind: "zero" },
        metric: firstTokenRight(answers),
        injections,
      });
      return bySample(values)[0]
        .map((_, l) => bySample(values).reduce((sum, row) => sum + row[l], 0))
        .join(" ");
    };
    return [
      {
        "DeepStack's injections": "left alone: it leaks",
        "right answers of 12, zeroed from block 0, 1, 2 …": await right("clean"),
      },
      {
        "DeepStack's injections": "corrupted with the stream",
        "right answers of 12, zeroed from block 0, 1, 2 …": await right("corrupted"),
      },
    ];
  });
  return table(rows, { caption: "A planted checkpoint whose DeepStack carries the answer to block 6" });
}

/** Answers lost by each set of experts. */
export function silencingTable({ full, chosen, random, experts }: Silencing): Table {
  const rate = (name: string, flags: ArrayLike<number | boolean>): Record<string, string> => ({
    silenced: name,
    "answers lost": formatInterval(rateInterval(flags)),
  });
  return table(
    [
      rate(
        `most used by visual tokens in the window (${experts.slice(0, 6).join(", ")}${experts.length > 6 ? " …" : ""})`,
        chosen.set,
      ),
      ...random.map(({ set }, i) => rate(`random, same blocks and load, ${i + 1}`, set)),
      rate("all others of these blocks", chosen.complement),
      rate("the image itself, for comparison", full),
    ],
    { caption: "Experts silenced, named block.expert", limit: 20 },
  );
}

/** Accuracy and cost of each way to keep visual tokens. */
export function pruningTable({ plans, right }: Pruning): Table {
  const accuracy = (flags: readonly number[]): Estimate => rateInterval(flags);
  return table(
    [
      {
        kept: "all",
        share: "1",
        accuracy: formatInterval(accuracy(right)),
        "equivalent tokens": "",
        compute: "1",
      },
      ...plans.map(({ rule, keep, right: own, equivalentTokens, compute }) => ({
        kept: rule,
        share: String(keep),
        accuracy: formatInterval(accuracy(own)),
        "equivalent tokens": equivalentTokens.toFixed(1),
        compute: compute.toFixed(2),
      })),
    ],
    { caption: "Visual tokens kept before the window" },
  );
}

/** Attention from the last token of the first question to its image, by block and head; at first where it is largest. */
export async function attentionOverlay({ model, samples }: Subject): Promise<Html> {
  const [{ task }] = samples;
  const { batch } = await ask(model, [task]);
  const attention = await imageAttention(model, batch);
  const [, heads, tokens] = attention.shape;
  const totals = Array.from({ length: attention.data.length / tokens }, (_, i) =>
    attention.data.subarray(i * tokens, (i + 1) * tokens).reduce((sum, value) => sum + value, 0),
  );
  const largest = totals.indexOf(Math.max(...totals));
  return imageOverlay(encoded(task.images[0]), batch.images![0].image, attention, {
    title: "Read by the last token",
    subtitle: `${task.prompt} ${task.answers[0]}`,
    axes: [{ name: "block" }, { name: "head" }],
    initial: [Math.floor(largest / heads), largest % heads],
    unit: "attention",
    height: 420,
  });
}

function encoded(image: TaskImage): Uint8Array {
  if (typeof image === "string") return readFileSync(image);
  return image instanceof Uint8Array ? image : encodePng(image);
}

/** Knockouts of two routes, one block at a time and in the literature's window of nine. */
export async function windowedKnockoutFigure(subject: Subject, count: number): Promise<Figure> {
  const { model } = subject;
  const samples = someOf(subject.samples, count);
  const { batch, answers } = await ask(model, tasksOf(samples));
  const routes = ["Image→Last", "Question→Last"] as const;
  const knocked = async (window: number): Promise<Rows[]> => {
    const { delta, layers } = await attentionKnockouts(model, batch, {
      metric: logProb(answers),
      routes,
      window,
    });
    const size = layers.length * batch.size;
    return routes.map((_, r) =>
      bySample({
        data: delta.data.subarray(r * size, (r + 1) * size),
        shape: [layers.length, batch.size],
      }),
    );
  };
  const panel = (byRoute: readonly Rows[]): Figure =>
    lines(
      byRoute.map((rows, r) => ({
        name: routes[r],
        x: rows[0].map((_, l) => (l + 0.5) / rows[0].length),
        y: rows[0].map((_, l) => rows.map((row) => row[l])),
      })),
      { x: "depth of the window's centre", y: "Δ log p (nats)", band: "bootstrap", markers: false },
    );
  const [one, nine] = [await knocked(1), await knocked(9)];
  return facets(
    { "one block": panel(one), "nine blocks": panel(nine) },
    { title: knockoutFinding(routes, nine) },
  );
}
