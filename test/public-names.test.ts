import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { packageEntries } from "../lib/package-root.js";

/** Run-time names that `import { … } from "modalscope"` offers. What a first session does not need has a subpath. */
const FIRST_SESSION = `
  localCopy upload loadModel loadCost embeddedModels EMBEDDED_MODELS openCheckpoint readSafetensors writeSafetensors availableDevices
  anonymousBytes
  padTokens appendTokens ActivationCache patchPositions projectorPositions visualPositions
  edit visualEdits
  sweep activationPatching attributionPatching pathPatching steeringVectors meanOf gradients directLogitAttribution
  unembedding logit logitDifference logProb logSumExp
  Trainer train createAdamState initialWeights saveCheckpoint
  show save bars heatmap histogram lines scatter table html markdown image progressBar
  ModalscopeError provenance seeded tensor`;
const MOST = 60;

const valuesOf = async (entry: string): Promise<Record<string, unknown>> => import(entry);

describe("the public names", () => {
  it("modalscope itself offers those of a first session and no others", async () => {
    const names = Object.keys(await valuesOf("modalscope"));
    assert.deepEqual(names.sort(), FIRST_SESSION.trim().split(/\s+/).sort());
    assert.ok(names.length <= MOST, `${names.length} names`);
  });

  it("every subpath can be imported, and a name means one thing in all of them", async () => {
    const entries = packageEntries();
    assert.deepEqual(entries.map((entry) => entry.replace("modalscope", "")).sort(), [
      "",
      "/analysis",
      "/circuits",
      "/methods",
      "/onnx",
      "/plot",
      "/runner",
      "/studies",
      "/studies/circuit-tracing",
      "/studies/gap-phase1",
      "/studies/knowledge-evolution",
      "/studies/phase3-z",
      "/studies/pid-flow",
      "/tasks",
      "/tfjs",
      "/tslab",
    ]);
    const meanings = new Map<string, unknown>();
    for (const entry of entries) {
      for (const [name, value] of Object.entries(await valuesOf(entry))) {
        assert.equal(value, meanings.get(name) ?? value, `${entry} has another ${name}`);
        meanings.set(name, value);
      }
    }
  });
});
