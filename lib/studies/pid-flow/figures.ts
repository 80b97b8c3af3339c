/** Figures of the study; titles say what was found. */
import {
  type Estimate,
  type PidBootstrap,
  type PidReading,
  pidBootstrap,
  pidInterval,
} from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import {
  bars,
  concepts,
  type Figure,
  type ForestRow,
  facets,
  forest,
  formatPercent,
  lines,
} from "../../plot/index.js";
import { ATOMS, type Atom, halfway, joined, shareOf, total } from "./curves.js";
import type { Decomposition, TaskDecomposition } from "./decompose.js";
import { samplesAt, type TaskMeasurement, type TaskRun } from "./measurements.js";
import { variantCorrelations } from "./variants.js";

const COLOURS: Readonly<Record<Atom, string>> = {
  redundancy: concepts.joint,
  uniqueX: concepts.visual,
  uniqueY: concepts.text,
  synergy: concepts.synergy,
};

/** Ends of an atom's range, and of a share's. */
const BITS = [0, Number.POSITIVE_INFINITY] as const;
const SHARE = [0, 1] as const;

/** Mark of states at which the joint test refuses more than half of the tasks. */
const REFUSED = "*";

/**
 * Atoms of all tasks on top of each other, by state, with bootstrap intervals. States at which most tasks are not jointly
 * Gaussian carry a mark: their atoms are not testable.
 */
export function atomsFigure(
  found: Record<string, readonly TaskDecomposition[]>,
  depths: readonly number[],
): Figure {
  const panels = Object.entries(found).filter(([, tasks]) => tasks.length > 0);
  return facets(Object.fromEntries(panels.map(([name, tasks]) => [name, atomsPanel(tasks, depths)])), {
    title: atomsTitle(panels[0][1], depths),
    subtitle: refusedNote(panels[0][1]),
    columns: panels.length,
  });
}

function atomsPanel(tasks: readonly TaskDecomposition[], depths: readonly number[]): Figure {
  const { boot, grid } = joined(tasks);
  const series = ATOMS.map(({ atom, name }) => {
    const estimates = depths.map((_, s) =>
      pidInterval(boot, (pids) => total(grid(pids), s, atom) / tasks.length, { range: BITS }),
    );
    return {
      name,
      color: COLOURS[atom],
      y: estimates.map((e) => e.estimate),
      low: estimates.map((e) => e.low),
      high: estimates.map((e) => e.high),
    };
  });
  return bars(series, {
    mode: "stack",
    categories: depths.map((depth, s) => formatPercent(depth) + (mostlyRefused(tasks, s) ? REFUSED : "")),
    x: "depth of the state",
    y: "bits, mean over tasks",
  });
}

const refusedShare = (tasks: readonly TaskDecomposition[], state: number): number =>
  tasks.filter(({ normality }) => !normality[state].accepted).length / tasks.length;

const mostlyRefused = (tasks: readonly TaskDecomposition[], state: number): boolean =>
  2 * refusedShare(tasks, state) > 1;

function atomsTitle(tasks: readonly TaskDecomposition[], depths: readonly number[]): string {
  const { boot, grid } = joined(tasks);
  const read = grid(boot.observed);
  const curve = depths.map((_, s) => total(read, s, "uniqueX"));
  const peak = depths[curve.indexOf(Math.max(...curve))];
  const [half, last] = [halfway(depths), depths.length - 1].map((s) => shareOf(read, s, "uniqueY"));
  return (
    `Vision-unique is largest at ${formatPercent(peak)} of the depth; ` +
    `language-unique goes from ${formatPercent(half)} at half of it to ${formatPercent(last)}`
  );
}

function refusedNote(tasks: readonly TaskDecomposition[]): string {
  const all = tasks.flatMap(({ normality }) => normality);
  const count = all.filter(({ accepted }) => !accepted).length;
  return `95% bootstrap; ${REFUSED} not testable: the joint test refuses (${count} of ${all.length} tasks and states)`;
}

/** Shares of the atoms at the last state, one dot for each task and atom, beside the null of equal channels for uniques. */
export function fingerprintFigure({ tasks }: Decomposition): Figure {
  const rows = ATOMS.flatMap(({ atom, name }) =>
    tasks.map(({ task, pids }): ForestRow => {
      const last = pids.observed.length - 1;
      const found = pidInterval(pids, (states) => shareOf([states], last, atom), { range: SHARE });
      return { name: `${task}, ${name}`, ...found, group: name, color: COLOURS[atom] };
    }),
  );
  return forest(rows, {
    title: `Redundant shares at the last state go from ${rangeOf(tasks, "redundancy")} over the tasks`,
    subtitle: "shares of the information at the last state, 95% bootstrap",
    x: "share of the information",
    xFormat: ".0%",
  });
}

function rangeOf(tasks: readonly TaskDecomposition[], atom: Atom): string {
  const shares = tasks.map(({ pids }) => shareOf([pids.observed], pids.observed.length - 1, atom));
  return `${formatPercent(Math.min(...shares))} to ${formatPercent(Math.max(...shares))}`;
}

/** Curves of both variants' vision- and language-unique shares. */
export function variantsFigure(found: Decomposition, names: readonly [string, string]): Figure {
  const { tasks, variant, depths } = found;
  const curve = (own: readonly TaskDecomposition[], atom: Atom, v: number) => {
    const { boot, grid } = joined(own);
    const found = depths.map((_, s) =>
      pidInterval(boot, (pids) => shareOf(grid(pids), s, atom), { range: SHARE }),
    );
    return {
      name: `${ATOMS.find((one) => one.atom === atom)!.name}, ${names[v]}`,
      x: depths,
      y: found.map((e) => e.estimate),
      low: found.map((e) => e.low),
      high: found.map((e) => e.high),
      color: COLOURS[atom],
      dash: v === 0 ? ("solid" as const) : ("dash" as const),
    };
  };
  const all = [tasks, variant].flatMap((own, v) =>
    own.length === 0 ? [] : (["uniqueX", "uniqueY"] as const).map((atom) => curve(own, atom, v)),
  );
  return lines(all, {
    title: variantsTitle(found),
    subtitle: "vision-unique and language-unique shares, 95% bootstrap over questions",
    x: "depth of the state",
    y: "share of the information",
    xFormat: ".0%",
    yFormat: ".0%",
  });
}

function variantsTitle(found: Decomposition): string {
  if (found.tasks.length === 0 || found.variant.length === 0) return "Unique shares by depth";
  const { variants, seeds, permuted } = variantCorrelations(found);
  const others = [
    ...(seeds.length > 0 ? [`two seeds of one at ${spanOf(seeds)}`] : []),
    ...(permuted.length > 0 ? [`steps in other orders at ${spanOf(permuted)}`] : []),
  ];
  return [`Layer curves of both variants correlate at ${variants.toFixed(2)}`, ...others].join(", ");
}

function spanOf(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((x) => x.toFixed(2));
  return low === high ? low : `${low} to ${high}`;
}

/** Changes of vision-unique, synergistic and total information under the knockout, less those under its control, by task. */
export function knockoutFigure({ knockouts }: Decomposition): Figure {
  const figures: readonly { name: string; color: string; read: (pid: PidReading) => number }[] = [
    { name: "vision-unique", color: concepts.visual, read: ({ broja }) => broja.uniqueX },
    { name: "synergistic", color: concepts.synergy, read: ({ broja }) => broja.synergy },
    { name: "total", color: concepts.null, read: ({ information }) => information.joint },
  ];
  const ordered = [...knockouts].sort(
    (a, b) => shareOf([a.pids.observed], 0, "redundancy") - shareOf([b.pids.observed], 0, "redundancy"),
  );
  const rows = figures.flatMap(({ name, color, read }) =>
    ordered.map(({ task, pids }): ForestRow => {
      const found = pidInterval(pids, ([, cut, control]) => read(cut) - read(control));
      return { name: `${task}, ${name}`, ...found, group: name, color };
    }),
  );
  const rising = rows.filter(({ low }) => low > 0).length;
  const falling = rows.filter(({ high }) => high < 0).length;
  return forest(rows, {
    title: `Cutting Image→Question raises ${rising} and lowers ${falling} of ${rows.length} figures`,
    subtitle: "at the last state, less the control of equal size; tasks in order of their redundant share",
    x: "bits",
  });
}

/** One window of blocks with the route cut. */
export interface WindowEffect {
  readonly layers: readonly number[];
  /** Change of vision-unique information at the last state, mean over tasks, bits. */
  readonly trapped: Estimate;
  /** Share of right answers that are lost. */
  readonly lost: number;
}

/** The last state without and with a knockout; nothing where the samples are refused. */
function decomposed(clean: TaskRun, cut: TaskRun, clusters: readonly string[]): { pids: PidBootstrap }[] {
  const sets = [samplesAt(clean, clean.vision.length - 1), samplesAt(cut, 0)];
  try {
    return [{ pids: pidBootstrap(sets, { draws: 40, clusters }) }];
  } catch (error) {
    if (error instanceof ModalscopeError) return [];
    throw error;
  }
}

/** Effects of knockouts in windows of blocks, over the tasks that can be decomposed. */
export function windowEffects(
  tasks: readonly TaskMeasurement[],
  windows: readonly { readonly layers: readonly number[]; readonly runs: readonly TaskRun[] }[],
): WindowEffect[] {
  return windows.flatMap(({ layers, runs }) => {
    const boots = tasks.flatMap(({ clean, clusters }, t) => decomposed(clean, runs[t], clusters));
    if (boots.length === 0) return [];
    const { boot, grid } = joined(boots);
    const trapped = pidInterval(boot, (pids) => {
      const rows = grid(pids);
      return (total(rows, 1, "uniqueX") - total(rows, 0, "uniqueX")) / rows.length;
    });
    const fine = tasks.flatMap(({ clean }, t) =>
      clean.right.flatMap((right, i) => (right ? [runs[t].right[i]] : [])),
    );
    return { layers, trapped, lost: fine.filter((right) => !right).length / fine.length };
  });
}

export function windowsFigure(effects: readonly WindowEffect[]): Figure {
  if (effects.length === 0)
    throw new ModalscopeError(
      "No window could be decomposed.",
      "",
      "Use more questions or fewer components.",
    );
  const worst = effects.reduce((most, own) => (own.lost > most.lost ? own : most));
  const named = ({ layers }: WindowEffect): string => `${layers[0]}–${layers[layers.length - 1]}`;
  return forest(
    effects.map((own) => ({
      name: `blocks ${named(own)} (${formatPercent(own.lost)} of answers lost)`,
      ...own.trapped,
      color: concepts.visual,
    })),
    {
      title: `Image→Question matters most to answers in blocks ${named(worst)}: ${formatPercent(worst.lost)} lost`,
      subtitle:
        "change of vision-unique information at the last state, 95% bootstrap, before Gaussianisation",
      x: "bits",
    },
  );
}
