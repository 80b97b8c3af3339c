/** Where a study's questions come from: drawn here, or folders of published data sets. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { seeded } from "../../random.js";
import { localCopy } from "../../storage/index.js";
import {
  charts,
  documentTask,
  drawTasks,
  inWords,
  loadChartQa,
  loadDocVqa,
  loadTextVqa,
  type PlantedVisionKind,
  plantedInWords,
  plantedTasks,
  type SyntheticTask,
  sceneTextTask,
  type VisualTask,
} from "../../tasks/index.js";
import type { SampleGrade } from "./parts.js";
import type { GapSample, ProbeTask } from "./subject.js";

/** Questions that are used for one thing and no other. */
export type Purpose = "study" | "held out" | "gate" | "probes";

export interface DrawRequest {
  readonly seed: number;
  readonly purpose: Purpose;
  /** Questions of each grade. */
  readonly count: number;
  /** Kinds of question, as `kindOf` names them; all unless given. */
  readonly kinds?: ReadonlySet<string>;
}

export interface QuestionSource {
  /** Of either grade so many, as far as there are; where none of a grade's kinds are asked for, all of its kinds. */
  draw(request: DrawRequest): Promise<GapSample[]>;
  /** Kinds of question of each grade in the gate, or as many of `kinds`; they are not drawn for it. */
  kindCounts(kinds?: ReadonlySet<string>): Readonly<Record<SampleGrade, number>>;
  /** Questions that all ask the same, with what their images show. */
  probes(seed: number, count: number): Promise<ProbeTask[]>;
}

/** Data set and type of a question: "charts kind". */
export const kindOf = ({ dataset, type }: VisualTask): string => `${dataset} ${type}`;

const GRADES: readonly SampleGrade[] = ["easy", "hard"];

/** Seeds of the purposes lie apart, so that no question serves two. */
const SEED_OF: Readonly<Record<Purpose, number>> = {
  study: 0,
  "held out": 10_000,
  gate: 20_000,
  probes: 30_000,
};

/** The document's grades: its hard tasks of scene text are of medium difficulty. */
function gradesOf(dataset: string): Readonly<Record<SampleGrade, readonly string[]>> {
  return { easy: ["easy"], hard: /text/.test(dataset) ? ["medium", "hard"] : ["hard"] };
}

/** Charts, documents and scene text, drawn. `words` of each list are written, as many as the model has learnt. */
export function syntheticQuestions({
  size,
  words,
}: {
  readonly size: number;
  readonly words: number;
}): QuestionSource {
  const sets = [charts, documentTask({ words }), sceneTextTask({ words })] as SyntheticTask<unknown>[];
  const drawn = (
    task: SyntheticTask<unknown>,
    types: readonly string[],
    count: number,
    seed: number,
  ): VisualTask[] => drawTasks(task, { types, count, size, seed, split: "heldout" });
  /** The types of a grade to ask, by set: those among `kinds`, or all where none is. */
  const askedOf = (
    grade: SampleGrade,
    kinds: ReadonlySet<string> | undefined,
  ): { readonly set: SyntheticTask<unknown>; readonly types: string[] }[] => {
    const typesOf = (set: SyntheticTask<unknown>): string[] =>
      Object.keys(set.types).filter((type) => gradesOf(set.name)[grade].includes(set.types[type]));
    const chosen = sets.map((set) =>
      typesOf(set).filter((type) => kinds?.has(kindOf({ dataset: set.name, type } as VisualTask)) ?? true),
    );
    const none = chosen.every((types) => types.length === 0);
    return sets
      .map((set, s) => ({ set, types: none ? typesOf(set) : chosen[s] }))
      .filter(({ types }) => types.length > 0);
  };
  const count = (grade: SampleGrade, kinds: ReadonlySet<string> | undefined): number =>
    askedOf(grade, kinds).reduce((sum, { types }) => sum + types.length, 0);
  return {
    kindCounts: (kinds) => ({ easy: count("easy", kinds), hard: count("hard", kinds) }),
    async draw({ seed, purpose, count, kinds }) {
      return GRADES.flatMap((grade) => {
        const asked = askedOf(grade, kinds);
        // The gate asks each kind as often, the study each data set.
        const weights = asked.map((own) => (purpose === "gate" ? own.types.length : 1));
        const shares = inShares(count, weights);
        return asked.flatMap(({ set, types: own }, s) => {
          const share = shares[s];
          return drawn(set, own, share, SEED_OF[purpose] + seed).map(
            (task): GapSample => ({ task, grade, twin: inWords(set, task) }),
          );
        });
      });
    },
    async probes(seed, count) {
      const [{ prompt }] = drawn(charts as SyntheticTask<unknown>, ["kind"], 1, 0);
      return sets.flatMap((set) =>
        drawn(set, Object.keys(set.types), Math.ceil(count / sets.length), SEED_OF.probes + seed).map(
          (task) => ({
            task: { ...task, prompt },
            label: `${set.name} ${task.category}`,
          }),
        ),
      );
    },
  };
}

/** `count` in whole parts, as near to their weights as such parts are. */
function inShares(count: number, weights: readonly number[]): number[] {
  const total = weights.reduce((sum, w) => sum + w, 0);
  const upTo = (n: number): number =>
    Math.floor((count * weights.slice(0, n).reduce((sum, w) => sum + w, 0)) / total);
  return weights.map((_, i) => upTo(i + 1) - upTo(i));
}

const gradeOf = ({ grade }: Pick<VisualTask, "grade">): SampleGrade => (grade === "hard" ? "hard" : "easy");

/** Number of kinds among samples, by grade. */
function countKinds(samples: readonly GapSample[]): Readonly<Record<SampleGrade, number>> {
  const count = (grade: SampleGrade): number =>
    new Set(samples.filter((own) => own.grade === grade).map(({ task }) => kindOf(task))).size;
  return { easy: count("easy"), hard: count("hard") };
}

/** Questions of a planted checkpoint. */
export function plantedQuestions(kind: PlantedVisionKind): QuestionSource {
  const tasks = (purpose: Purpose, seed: number, count: number): ReturnType<typeof plantedTasks> =>
    plantedTasks(kind, { count, seed: SEED_OF[purpose] + seed });
  return {
    kindCounts: () => countKinds(tasks("gate", 0, 2 * 60).map((task) => ({ task, grade: gradeOf(task) }))),
    // Most kinds have easy questions only: they are then twice as many.
    draw: async ({ seed, purpose, count }) =>
      tasks(purpose, seed, 2 * count).map((task) => ({
        task,
        grade: gradeOf(task),
        twin: plantedInWords(task),
      })),
    probes: async (seed, count) =>
      tasks("probes", seed, count).map((task) => ({ task, label: task.annotation.left })),
  };
}

const LOADERS = { chartqa: loadChartQa, docvqa: loadDocVqa, textvqa: loadTextVqa } as const;
const SETS = Object.keys(LOADERS) as (keyof typeof LOADERS)[];

/** Asked of every image where a probe is to read what it shows, and the question must not tell. */
const PROBE_PROMPT = "What does this image show?";

/**
 * ChartQA, DocVQA and TextVQA from a folder that holds `chartqa`, `docvqa` and `textvqa`, or some of these, each as its
 * publisher ships it. Questions are shuffled by seed; probes tell the data sets apart.
 * @throws ModalscopeError when none of the three is there, and as their loaders do.
 */
export async function publishedQuestions(data: string): Promise<QuestionSource> {
  const folder = await localCopy(data);
  const there = SETS.filter((set) => existsSync(join(folder, set)));
  if (there.length === 0)
    throw new ModalscopeError(
      `"${folder}" holds none of the study's data sets.`,
      existsSync(folder)
        ? `It should hold the folders ${SETS.join(", ")}, or some of them.`
        : "There is no such folder.",
      "Give the folder above them: each is read as its publisher ships it (lib/tasks/TASKS.md).",
    );
  const bySet = await Promise.all(
    there.map((set) => LOADERS[set](join(folder, set)) as Promise<VisualTask[]>),
  );
  const graded = bySet.map((tasks, s) =>
    tasks.flatMap((task): GapSample[] => {
      const grade = GRADES.find((own) => gradesOf(there[s])[own].includes(task.grade ?? ""));
      return grade && task.answers.length > 0 ? [{ task, grade }] : [];
    }),
  );
  const ordered = (samples: readonly GapSample[], seed: number): GapSample[] => seeded(seed).shuffle(samples);
  /** By set, the samples of a grade to ask: those among `kinds`, or all where none is. */
  const poolsOf = (grade: SampleGrade, kinds: ReadonlySet<string> | undefined): readonly GapSample[][] => {
    const own = graded.map((samples) => samples.filter((sample) => sample.grade === grade));
    const chosen = own.map((samples) => samples.filter(({ task }) => kinds?.has(kindOf(task)) ?? true));
    return chosen.some((samples) => samples.length > 0) ? chosen : own;
  };
  return {
    kindCounts: (kinds) =>
      countKinds(GRADES.flatMap((grade) => poolsOf(grade, kinds).flatMap((own) => ofPurpose(own, "gate")))),
    async draw({ seed, purpose, count, kinds }) {
      return GRADES.flatMap((grade) => {
        const pools = poolsOf(grade, kinds);
        return pools.flatMap((samples) =>
          ordered(ofPurpose(samples, purpose), seed).slice(0, Math.ceil(count / pools.length)),
        );
      });
    },
    async probes(seed, count) {
      return graded.flatMap((samples, s) =>
        ordered(ofPurpose(samples, "probes"), seed)
          .slice(0, Math.ceil(count / graded.length))
          .map(({ task }) => ({ task: { ...task, prompt: PROBE_PROMPT }, label: there[s] })),
      );
    },
  };
}

/** A fifth of the questions each for means, gate and probes, two fifths for the study. */
function ofPurpose(samples: readonly GapSample[], purpose: Purpose): GapSample[] {
  const fifths: Readonly<Record<Purpose, readonly number[]>> = {
    study: [0, 1],
    "held out": [2],
    gate: [3],
    probes: [4],
  };
  return samples.filter((_, i) => fifths[purpose].includes(i % 5));
}
