/** Graphs of a model that its memory does not hold: the resident one's, each block loaded once forwards and once back. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { attribute, sumCheck, type TranscoderSet } from "../../lib/circuits/index.js";
import { type LoadOptions, loadModel, type Model } from "../../lib/index.js";
import { weightsOf } from "../../lib/model/families/pieces.js";
import type { Node } from "../../lib/model/graph/index.js";
import { writeRandomCheckpoint } from "../bench/scale/random-checkpoint.js";
import { randomTranscoders, withSkips } from "./random-set.js";

const LAYERS = 6;
const config = {
  model_type: "llama",
  vocab_size: 300,
  hidden_size: 128,
  intermediate_size: 1024,
  num_hidden_layers: LAYERS,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
};
const MEMORY = 14e6;

/** Counts how often a session with weights of each block is opened, and the most bytes that are counted as open. */
function watched(model: Model): { readonly opened: Int32Array; mostBytes: number } {
  const found = { opened: new Int32Array(LAYERS), mostBytes: 0 };
  const pool = model.engine.pool as unknown as {
    readonly bytes: number;
    open(outputs: Readonly<Record<string, Node>>, prepack: boolean): Promise<unknown>;
  };
  const open = pool.open.bind(pool);
  pool.open = (outputs, prepack) => {
    const names = [...weightsOf(Object.values(outputs)).keys()].join(" ");
    const layer = /\blayers\.(\d+)\./.exec(names)?.[1];
    if (layer !== undefined) found.opened[Number(layer)]++;
    found.mostBytes = Math.max(found.mostBytes, pool.bytes);
    return open(outputs, prepack);
  };
  return found;
}

describe("a graph of a streamed model", () => {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-streamed-"));
  let set: TranscoderSet;
  before(() => {
    // In bfloat16: what is streamed cannot be mapped.
    writeRandomCheckpoint(folder, config);
    const spec = { layers: LAYERS, width: 128, features: 40, k: 2 };
    set = randomTranscoders({ kind: "per-layer", ...spec }, 5);
  });
  after(() => {
    set.close();
    rmSync(folder, { recursive: true });
  });
  const ids = Array.from({ length: 12 }, (_, i) => (i * 31 + 7) % 300);

  async function made(options: LoadOptions, own = set) {
    const model = await loadModel(folder, { threads: 1, ...options });
    const counted = watched(model);
    const graph = await attribute(model, model.batch([ids]), own, { atOnce: 8 });
    const { resident } = model;
    await model.close();
    return { graph, resident, ...counted, mostBytes: counted.mostBytes };
  }

  it("equals the resident one, loads each block once for each direction, and keeps to its memory", async () => {
    const whole = await made({ cache: join(folder, "float32") });
    const streamed = await made({ memory: MEMORY, cache: false });
    assert.deepEqual([whole.resident, streamed.resident], [true, false]);
    assert.deepEqual(streamed.graph.targets, whole.graph.targets);
    const most = whole.graph.edges.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    whole.graph.edges.forEach((edge, i) => {
      assert.ok(Math.abs(streamed.graph.edges[i] - edge) < 2e-6 * most);
    });
    assert.ok(sumCheck(streamed.graph).worst < 1e-5);
    assert.deepEqual(Array.from(streamed.opened), new Array(LAYERS).fill(2));
    assert.ok(streamed.mostBytes < MEMORY, String(streamed.mostBytes));
  });

  it("goes along skip connections, too", async () => {
    const { graph, opened } = await made({ memory: MEMORY, cache: false }, withSkips(set, 2));
    assert.ok(sumCheck(graph).worst < 1e-5);
    assert.deepEqual(Array.from(opened), new Array(LAYERS).fill(2));
  });
});
