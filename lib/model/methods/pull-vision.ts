/**
 * Cotangents of visual features, on through the projector and the tower, whose activation functions keep their gates:
 * there each piece is a linear map. Rows go through it some at once; where there are more of them than numbers in the
 * visual features, the unit vectors of these do, and make the map's matrix.
 */
import { ModalscopeError } from "../../errors.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { backwardContext, type InjectionPoint, isHeld, vjpVision } from "../backward/index.js";
import { type Engine, floats, type GraphRequest, runSession } from "../engine/index.js";
import { input, ops } from "../graph/index.js";
import { type Hook, isVisual } from "../hooks/index.js";
import type { FrozenRun } from "./freeze.js";
import type { PullOptions } from "./pull-options.js";
import { chunksOf } from "./pull-values.js";

export interface VisionPull {
  readonly run: FrozenRun;
  readonly points: readonly { readonly hook: Hook; readonly vectors?: Tensor }[];
  /**
   * Cotangents (columns, hidden_size) where features enter the language model, by row; columns that are left out at the
   * end are zero.
   */
  readonly injected: ReadonlyMap<InjectionPoint, ReadonlyMap<number, Float32Array>>;
  readonly options: Pick<PullOptions, "take" | "biases" | "atOnce" | "signal">;
}

/** Pulls rows from where visual features enter the language model down to the points. */
export async function pullVision(pull: VisionPull, rows: readonly number[]): Promise<void> {
  const places = placesOf(pull);
  const { hidden_size: width } = pull.run.held.engine.config;
  const readsFew = pull.points.every(({ vectors }) => vectors);
  if (readsFew && places.length * width < rows.length) await pullByMatrix(pull, rows, places);
  else await pullRows(pull, rows);
}

/** A visual feature: where it enters the language model. */
interface Place {
  readonly at: InjectionPoint;
  readonly column: number;
}

function placesOf({ run, injected }: VisionPull): Place[] {
  const columns = run.batch.images!.flatMap(({ positions }) => positions);
  return [...injected.keys()].flatMap((at) => columns.map((column) => ({ at, column })));
}

async function pullRows(pull: VisionPull, rows: readonly number[]): Promise<void> {
  const { run, injected, options } = pull;
  const { engine, pass } = run.held;
  const width = engine.config.hidden_size;
  for (const some of chunksOf(rows, options.atOnce)) {
    const arriving = new Map(
      [...injected].map(([at, byRow]) => {
        const g = zeros(engine, [some.length, 1, pass.seqLength, width]);
        some.forEach((row, i) => {
          // A row that starts below has nothing there.
          const own = byRow.get(row);
          if (own) g.data.set(own, i * pass.seqLength * width);
        });
        return [at, g] as const;
      }),
    );
    for (const [hook, values] of await throughTower(pull, arriving))
      options.take({ hook, rows: some, values });
  }
}

async function pullByMatrix(
  pull: VisionPull,
  rows: readonly number[],
  places: readonly Place[],
): Promise<void> {
  const { injected, options } = pull;
  const { engine } = pull.run.held;
  const width = engine.config.hidden_size;
  const matrices = await towerMatrices(pull, places);
  for (const some of chunksOf(rows, options.atOnce)) {
    const g = zeros(engine, [some.length, places.length * width]);
    some.forEach((row, i) => {
      places.forEach(({ at, column }, p) => {
        const own = injected.get(at)!.get(row);
        if (own)
          g.data.set(own.subarray(column * width, (column + 1) * width), (i * places.length + p) * width);
      });
    });
    for (const [hook, { matrix, shape }] of matrices) {
      const { data } = await product(engine, g, matrix);
      options.take({ hook, rows: some, values: { data, shape: [some.length, ...shape] } });
    }
  }
}

/** From the visual features to what is read: a row for each of their numbers. */
interface TowerMatrix {
  /** (units, outputs) */
  readonly matrix: Tensor;
  /** Shape of a row's outputs. */
  readonly shape: readonly number[];
}

async function towerMatrices(
  pull: VisionPull,
  places: readonly Place[],
): Promise<ReadonlyMap<string, TowerMatrix>> {
  const { run, injected, options } = pull;
  const { engine, pass } = run.held;
  const width = engine.config.hidden_size;
  const count = places.length * width;
  const found = new Map<string, TowerMatrix>();
  for (const units of chunksOf(
    Array.from({ length: count }, (_, unit) => unit),
    options.atOnce,
  )) {
    const arriving = new Map(
      [...injected.keys()].map(
        (at) => [at, zeros(engine, [units.length, 1, pass.seqLength, width])] as const,
      ),
    );
    units.forEach((unit, i) => {
      const { at, column } = places[Math.floor(unit / width)];
      arriving.get(at)!.data[(i * pass.seqLength + column) * width + (unit % width)] = 1;
    });
    for (const [hook, { data, shape }] of await throughTower(pull, arriving)) {
      const outputs = data.length / units.length;
      const own = found.get(hook) ?? { matrix: zeros(engine, [count, outputs]), shape: shape.slice(1) };
      found.set(hook, own);
      own.matrix.data.set(data, units[0] * outputs);
    }
  }
  return found;
}

/** What is read of the tower, by hook, from cotangents (rows, 1, time, hidden_size) of the features that enter. */
async function throughTower(
  { run, points, options }: VisionPull,
  arriving: ReadonlyMap<InjectionPoint, Tensor>,
): Promise<[hook: string, values: Tensor][]> {
  const { engine, pass } = run.held;
  options.signal?.throwIfAborted();
  const back = backwardContext({ engine, plan: new Map(), signal: options.signal }, pass, {
    wrt: points.map(({ hook }) => hook),
    frozen: engine.hooks.filter((h) => isVisual(h) && isHeld(h)),
    constantGates: true,
    biases: options.biases === true,
  });
  await vjpVision(back, run.batch.images!, arriving);
  return back.gradients.names.map((name) => {
    const vectors = points.find(({ hook }) => hook.name === name)?.vectors;
    const g = back.gradients.get(name);
    return [name, vectors ? projectImages(name, g, vectors) : g];
  });
}

/** (rows, images, time, width) by (images, time, K, width): (rows, images, time, K). */
function projectImages(name: string, g: Tensor, vectors: Tensor): Tensor {
  const [rows, images, time, width] = g.shape;
  const count = vectors.shape[2];
  const wanted = [images, time, count, width];
  if (vectors.shape.join() !== wanted.join())
    throw new ModalscopeError(
      `Vectors for "${name}" have the shape (${vectors.shape.join(", ")}).`,
      `In the tower they are (images, time, K, width), here (${images}, ${time}, K, ${width}).`,
    );
  const shape = [rows, images, time, count];
  const data = new (g.data.constructor as new (n: number) => Float32Array)(sizeOf(shape));
  const places = images * time;
  for (let i = 0; i < data.length; i++) {
    const from = Math.floor(i / count) * width;
    const by = (i % (places * count)) * width;
    let sum = 0;
    for (let j = 0; j < width; j++) sum += g.data[from + j] * vectors.data[by + j];
    data[i] = sum;
  }
  return { data, shape };
}

const PRODUCT: GraphRequest = {
  key: "rows by a matrix",
  build: () => ({
    product: ops.matmul(input("rows", ["rows", "units"]), input("matrix", ["units", "outputs"])),
  }),
  prepack: false,
};

const product = (engine: Engine, rows: Tensor, matrix: Tensor): Promise<Tensor> =>
  engine.pool.use(
    PRODUCT,
    async (session) => (await runSession(engine, session, { rows, matrix }, ["product"])).product,
  );

const zeros = (engine: Engine, shape: readonly number[]): Tensor => ({
  data: floats(engine, sizeOf(shape)),
  shape,
});
