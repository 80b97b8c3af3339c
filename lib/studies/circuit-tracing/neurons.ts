/** Neurons beside features: how many of the prompts that activate one most are about the same thing? */
import { hands, planets, type VisualTask } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import type { Part, UnitProfile, UnitProfiles } from "./measurements.js";
import { eachChunk } from "./runs.js";
import { drawFor, forSamples, type Subject } from "./subject.js";

/** Rows of one thing for each of its prompts among the top ones. */
const PROMPTS = 240;
const NEURONS = "mlp.hook_post";

/** A unit's largest activation in a prompt, and what lies there. */
interface Peak {
  readonly value: number;
  readonly concept: string;
}

/** Neurons and features by what activates them most, with so many prompts each. */
export async function measureNeurons(subject: Subject): Promise<Part<UnitProfiles>> {
  const { model, set, settings } = subject;
  const names = model.layers.map((l) => `blocks.${l}.${NEURONS}`);
  if (!names.every((name) => model.hooks.includes(name)))
    return { untestable: "this model's neurons have no hook: its MLPs are experts" };
  const third = Math.round(forSamples(subject, PROMPTS, 2 * settings.top) / 3);
  const tasks = [
    ...drawFor(subject, planets, { types: ["name"], count: 2 * third, split: "heldout" }),
    ...drawFor(subject, hands, { types: ["what"], count: third, split: "heldout" }),
  ];
  const neurons = model.layers.map(() => new Map<number, Peak[]>());
  const features = model.layers.map(() => new Map<number, Peak[]>());
  await eachChunk(subject, tasks, async ({ tasks: some, batch }) => {
    const conceptAt = some.map((task, row) => conceptsOf(subject, task, batch, row));
    const capture = [...names, ...set.layers.map(({ hookIn }) => hookIn)];
    const { cache } = await model.run(batch, { capture, logits: "none" });
    const tokens = batch.tokenPositions.flatMap((columns, row) => columns.map((column) => ({ row, column })));
    for (const l of model.layers) {
      const input = cache.get(set.layers[l].hookIn);
      const encoded = await set.layers[l].encode({
        data: input.data,
        shape: [batch.size * batch.seqLength, input.shape[2]],
      });
      const { features: count, offsets, ids, values } = encoded;
      const active = new RowPeaks(batch.size, count);
      for (const { row, column } of tokens) {
        const t = row * batch.seqLength + column;
        for (let i = offsets[t]; i < offsets[t + 1]; i++) active.see(row * count + ids[i], column, values[i]);
      }
      active.addTo(features[l], conceptAt);
      const { data, shape }: Tensor = cache.get(names[l]);
      const width = shape[2];
      const dense = new RowPeaks(batch.size, width);
      for (const { row, column } of tokens) {
        const from = (row * batch.seqLength + column) * width;
        for (let j = 0; j < width; j++) dense.see(row * width + j, column, data[from + j]);
      }
      dense.addTo(neurons[l], conceptAt);
    }
  });
  const profiles = (all: readonly Map<number, Peak[]>[]): UnitProfile[] =>
    all.flatMap((units, layer) =>
      [...units].flatMap(([unit, peaks]) =>
        peaks.length < settings.top ? [] : [{ layer, unit, ...profileOf(peaks, settings.top) }],
      ),
    );
  const found = { neurons: profiles(neurons), features: profiles(features) };
  if (found.features.length < 2)
    return { untestable: `${found.features.length} features are active in enough prompts` };
  return found;
}

/** What lies at each column of a row: the image's subject, or the word. */
function conceptsOf(
  { model }: Subject,
  { category = "" }: VisualTask,
  batch: Parameters<Parameters<typeof eachChunk>[2]>[0]["batch"],
  row: number,
): (column: number) => string {
  const visual = new Set(batch.visual[row]);
  const words = new Map(
    batch.tokenPositions[row].map((column) => {
      const id = batch.inputIds[row * batch.seqLength + column];
      return [column, visual.has(column) ? `image of ${category}` : quoted(model.decode([id], RAW))];
    }),
  );
  return (column) => words.get(column)!;
}

const quoted = (text: string): string => JSON.stringify(text.trim() || text);
const RAW = { skipSpecialTokens: false } as const;

/** Largest activation of units by row, `(rows, units)`, and its column. */
class RowPeaks {
  private readonly values: Float32Array;
  private readonly columns: Int32Array;

  constructor(
    private readonly rows: number,
    private readonly units: number,
  ) {
    this.values = new Float32Array(rows * units);
    this.columns = new Int32Array(rows * units);
  }

  see(at: number, column: number, value: number): void {
    if (!(value > this.values[at])) return;
    this.values[at] = value;
    this.columns[at] = column;
  }

  /** Adds the peaks of units that were active to theirs. */
  addTo(all: Map<number, Peak[]>, conceptAt: readonly ((column: number) => string)[]): void {
    for (let unit = 0; unit < this.units; unit++) {
      const own = all.get(unit) ?? [];
      for (let row = 0; row < this.rows; row++) {
        const value = this.values[row * this.units + unit];
        if (value > 0) own.push({ value, concept: conceptAt[row](this.columns[row * this.units + unit]) });
      }
      if (own.length > 0) all.set(unit, own);
    }
  }
}

function profileOf(peaks: readonly Peak[], top: number): Pick<UnitProfile, "concepts" | "purity"> {
  const counts = new Map<string, number>();
  for (const { concept } of [...peaks].sort((a, b) => b.value - a.value).slice(0, top))
    counts.set(concept, (counts.get(concept) ?? 0) + 1);
  const concepts = [...counts].sort((a, b) => b[1] - a[1]);
  return { concepts, purity: concepts[0][1] / top };
}
