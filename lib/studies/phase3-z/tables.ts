/** Tables of the study: the document's own, and its lists of what is done. */
import { fitBridge, proportion } from "../../analysis/index.js";
import { formatInterval, formatShare, type Rows } from "../../plot/index.js";
import type { Grading } from "../../tasks/index.js";
import type { ClaimsMatrix } from "../matrix.js";
import { modelCells } from "../matrix.js";
import { verdictText } from "../show.js";
import { leftOut } from "./data-claims.js";
import type { BridgePart, Measurements, PatchesPart, WeightsPart } from "./parts.js";
import type { PatchOutcome } from "./patch.js";
import { phase3Document } from "./rules.js";

/** Longest text of a cell, characters. */
const LONGEST = 40;

/** The document's setting beside the run's. */
export function settingTable({ ranks, width, primary, secondary, sizes }: WeightsPart, format: string): Rows {
  const { model, chosen, rules } = phase3Document();
  const row = (what: string, document: string, run: string) => ({ "": what, document, "this run": run });
  return [
    row("blocks, width", `${model.layers}, ${model.hiddenSize}`, `${ranks.length}, ${width}`),
    row("patched layers", chosen.layers.join(", "), `${primary}, ${secondary}`),
    row(
      "size of Z: main, small, vanishing",
      [rules.mainK, rules.smallK, rules.vanishingK].join(", "),
      [sizes.main, sizes.small, sizes.vanishing].join(", "),
    ),
    row("prompt format", "not said", format),
  ];
}

/** One row for each of the first problems: what is answered unpatched, and under each patch. */
export function patchTable({ clean, patched, problems }: PatchesPart, count: number): Rows {
  const text = (own: Grading): string => own.text.trim().replace(/\s+/g, " ").slice(0, LONGEST);
  return problems.slice(0, count).map((problem, i) => ({
    problem,
    "original (en)": text(clean[i]),
    "Z-patched (en←zh)": text(patched.set[i]),
    "Z⊥-patched (en←zh)": text(patched.complement[i]),
    "fully patched": text(patched.full[i]),
  }));
}

/** The document's five metrics. */
export function metricTable({ chosen, full, problems }: PatchesPart): Rows {
  const share = (own: readonly PatchOutcome[], flag: (outcome: PatchOutcome) => boolean): string =>
    formatShare(proportion(own.map(flag)));
  const kept = ({ turned, wordless }: PatchOutcome): boolean => !turned && !wordless;
  const alike = (other: readonly PatchOutcome[]): string =>
    share(full, (own) => {
      const there = other[full.indexOf(own)];
      return there.changed === own.changed && kept(there) === kept(own);
    });
  return [
    {
      metric: "1 answers changed by the Z-patch",
      of: problems.length,
      share: share(chosen.set, (own) => own.changed),
    },
    {
      metric: "2 answers changed by the Z⊥-patch",
      of: problems.length,
      share: share(chosen.complement, (own) => own.changed),
    },
    { metric: "3 language kept under the Z-patch", of: problems.length, share: share(chosen.set, kept) },
    {
      metric: "4 language disrupted by the Z⊥-patch",
      of: problems.length,
      share: share(chosen.complement, (own) => !kept(own)),
    },
    {
      metric: "5 full patch behaves like Z, like Z⊥",
      of: problems.length,
      share: `${alike(chosen.set)}, ${alike(chosen.complement)}`,
    },
  ];
}

/** The bridge's numbers as the document asks for them. */
export function bridgeTable(part: BridgePart): Rows {
  const { english, chinese } = part;
  const plain = fitBridge(english, chinese, { ridge: 0 });
  const k = english.shape[1];
  return [
    { what: "pairs, dimensions", value: `${english.shape[0]}, ${k}` },
    { what: "R² on the pairs that it was fitted to", value: plain.rSquared.toFixed(3) },
    { what: "R², each pair predicted from the others", value: formatInterval(leftOut(part)) },
    { what: "orthogonality error ‖WᵀW − I‖/k", value: plain.orthogonalityError.toFixed(3) },
    { what: "the same of W = 0", value: (1 / Math.sqrt(k)).toFixed(3) },
  ];
}

/** The document's lists of what is done, each item met by the run or not. */
export function doneTable(matrix: ClaimsMatrix, measured: Measurements): Rows {
  const cells = modelCells(matrix);
  const { done, patching } = phase3Document();
  const cellOf = (id: string) => cells.find(({ claim }) => claim === id)!;
  const claimed = (id: string): Item => ({
    met: cellOf(id).verdict === "supported",
    why: verdictText(cellOf(id)),
  });
  const ran = (id: string): Item => ({
    met: cellOf(id).done,
    why: cellOf(id).done ? "measured" : cellOf(id).because,
  });
  const patched = "problems" in measured.patches ? measured.patches.problems.length : 0;
  const minimum: Item[] = [
    { met: patched >= patching.leastProblems, why: `${patched} problems` },
    ran("computesInZ"),
    { met: patched > 0, why: "the five metrics" },
  ];
  const all = (items: readonly Item[]): Item => ({ met: items.every(({ met }) => met), why: "" });
  const { configurations } = cellOf("doubleDissociation");
  const strong = [
    all(minimum),
    claimed("doubleDissociation"),
    ran("ardShared"),
    ran("ardAgrees"),
    ran("bridgeThin"),
  ];
  const gold = [
    all(strong),
    {
      met:
        cellOf("doubleDissociation").verdict === "supported" && configurations?.agree === configurations?.of,
      why: configurations
        ? `${configurations.agree} of ${configurations.of} other layers agree`
        : "one layer",
    },
    { met: cellOf("zContent").configurations !== undefined, why: "among the other configurations" },
    claimed("phases"),
    claimed("bridgeRotation"),
  ];
  return Object.entries({ minimum, strong, gold }).flatMap(([list, items]) =>
    items.map(({ met, why }, i) => ({
      list,
      met: met ? "✓" : "✗",
      item: done[list as keyof typeof done][i],
      because: why,
    })),
  );
}

interface Item {
  readonly met: boolean;
  readonly why: string;
}
