/** Titles of figures, on measurements small enough to be read off. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  flowFinding,
  geometryFinding,
  knockoutFinding,
  probesFinding,
  tracingFinding,
  truncationFinding,
  twinsFinding,
} from "../../../lib/studies/gap-phase1/findings.js";
import { gapMadeByHand } from "../../../lib/studies/gap-phase1/index.js";
import type { Geometry, Tracing } from "../../../lib/studies/gap-phase1/parts.js";

const samples = { grades: ["hard", "easy"] as const, clusters: ["a", "b"] };

test("titles of figures say what was measured", () => {
  const truncated = (rates: readonly (readonly number[])[]) => ({ layers: [0, 2, 3], right: rates });
  const image = truncated([
    [0, 0, 1],
    [0, 1, 1],
  ]);
  const answers = { ...samples, blocks: 4, right: [1, 1], blind: [0, 0] };
  assert.equal(
    truncationFinding({ ...answers, by: { mean: image } }),
    "Right answers with visual tokens truncated: 50% from 50% of the depth, 100% from 75% of the depth; never: 100%",
  );
  assert.equal(
    flowFinding({
      ...samples,
      toImage: [
        [0.1, 0.6, 0.2, 0.1],
        [0.1, 0.8, 0.2, 0.1],
      ],
      even: [0.5, 0.3],
      toText: [],
    }),
    "Text gives visual tokens most attention at 50% of the depth: 70%, if it were even 40%",
  );
  const right = [
    [0, 1, 1, 0, 0],
    [0, 0, 1, 0, 0],
  ];
  assert.equal(
    probesFinding({ ...samples, right, control: [0, 0], chance: [0.1, 0.1, 0.2, 0.1, 0.1] }),
    "Probes read most off the last token at 50% of the depth: 100%, with shuffled labels 20%",
  );
  const plan = { rule: "random", keep: 0.5, right: [1, 0], equivalentTokens: 8, compute: 0.8 };
  assert.equal(
    twinsFinding(
      {
        ...answers,
        image,
        text: truncated([
          [0, 0, 1],
          [0, 0, 0],
        ]),
      },
      { ...samples, right: [1, 1], halfTruncated: [0, 0], plans: [plan] },
    ),
    "Truncated from 75% of the depth on: images 100% right, passages 50%. Kept, random 50%: 50%",
  );
  assert.equal(
    knockoutFinding(["Image→Last", "Question→Last"], [[[0, -1, -2, 0]], [[-1, 0, 0, 0]]]),
    "Nine blocks without Image→Last cost most at 63% of the depth (2.00 nats), without Question→Last cost most at 13% of the depth (1.00 nats)",
  );
});

test("titles on the document's own curves give its figures", () => {
  const { tracing, geometry } = gapMadeByHand("likeDocument", 0);
  // Harm of hard tasks goes from 27.1 to 12.6 nats at layer 17, over half of it after the rebound, and ends below.
  const hard = Number(/from (\d+)% \(hard\)/.exec(tracingFinding(tracing as Tracing))?.[1]);
  assert.ok(hard > 75 && hard <= 100, String(hard));
  assert.match(
    geometryFinding(geometry as Geometry),
    /^Through the blocks visual ICC\(1\) goes from [\d.]+ to [\d.]+/,
  );
});
