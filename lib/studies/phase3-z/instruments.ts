/** Checks of the study's instruments, each against something independent. */
import {
  ablate,
  coordinates,
  exactTransport,
  mmdSquared,
  projectOnto,
  squaredDistanceCost,
  uniformWeights,
} from "../../analysis/index.js";
import type { Rows } from "../../plot/index.js";
import { type Arm, armEdits } from "./arms.js";
import { pooledStreams, residPre, type Subject } from "./subject.js";

/** By hand: {0, 1, 2} against {3, 4, 5} at lengthscale 1. */
const KNOWN_MMD = 0.6964415423;

/** Patched stream, transport plan, mask and MMD against formulas. */
export async function checkInstruments(subject: Subject, layer: number, k: number): Promise<Rows> {
  const v = subject.z(layer, k);
  const products = coordinates(v, v).data;
  const identity = largest(products.map((value, i) => value - Number(i % (k + 1) === 0)));
  const { plan, rows, cost, plain } = await transportOf(subject, layer);
  const points = (values: readonly number[]) => values.map((x) => [x]);
  const mmd = mmdSquared({ x: points([0, 1, 2]), y: points([3, 4, 5]) }, [1]);
  return [
    {
      check: "patched stream against the formula, as a share of its largest value",
      value: await streamError(subject, layer, k),
    },
    { check: "V Vᵀ against the identity", value: identity.toExponential(1) },
    { check: `row sums of a transport plan (${plan}) against 1/T`, value: rows.toExponential(1) },
    { check: "cost of the plan, as a share of that of an even plan", value: (cost / plain).toFixed(3) },
    {
      check: "MMD² of {0, 1, 2} and {3, 4, 5} against the value by hand",
      value: (mmd - KNOWN_MMD).toExponential(1),
    },
  ];
}

/** The stream that the block really receives under a Z-patch, against the formula. */
async function streamError(subject: Subject, layer: number, k: number): Promise<string> {
  const { model, ids, streams } = subject;
  const batch = model.batch(ids.en.slice(0, 1));
  const arm: Arm = { layer, k, part: "Z", align: "mean" };
  const edits = await armEdits(subject, [arm], batch, [0]);
  const hook = residPre(layer);
  const { cache } = await model.run(batch, { edits, capture: [hook], logits: "none" });
  const { data } = cache.get(hook);
  const [english, chinese] = [streams.en, streams.zh].map((own) => own.get(layer) ?? []);
  const kept = ablate(english[0], subject.z(layer, k)).data;
  const z = projectOnto(pooledStreams(chinese.slice(0, 1)), subject.z(layer, k)).data;
  const off = largest(kept.map((value, i) => value + z[i % z.length] - data[i]));
  return (off / largest(Float64Array.from(data))).toExponential(1);
}

async function transportOf(subject: Subject, layer: number) {
  const [from, to] = [subject.streams.zh, subject.streams.en].map((own) => (own.get(layer) ?? [])[0]);
  const [n, m] = [from.shape[0], to.shape[0]];
  const costs = squaredDistanceCost(from, to);
  const { plan, cost } = await exactTransport(uniformWeights(n), uniformWeights(m), costs);
  const sums = Float64Array.from(
    { length: n },
    (_, i) => plan.data.subarray(i * m, (i + 1) * m).reduce((sum, value) => sum + value, 0) - 1 / n,
  );
  const plain = costs.data.reduce((sum, value) => sum + value, 0) / costs.data.length;
  return { plan: `${n} × ${m}`, rows: largest(sums), cost, plain };
}

const largest = (values: Float64Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
