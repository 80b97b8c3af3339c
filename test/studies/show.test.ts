import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { titleOf } from "../../lib/plot/figure.js";
import { type Figure, toSvg } from "../../lib/plot/index.js";
import { evidenceOf } from "../../lib/studies/evidence.js";
import { type ClaimsMatrix, claimsMatrix } from "../../lib/studies/matrix.js";
import { claimForest, claimRows, claimTable, matrixFigure, verdictStyles } from "../../lib/studies/show.js";
import { claimJson, studyOf } from "./studies.js";

const hostile = "<img src=x onerror=alert(1)> %{z}";

describe("what is shown of a study", () => {
  let matrix: ClaimsMatrix;
  before(async () => {
    const study = studyOf({
      claims: [
        claimJson({ says: hostile }),
        claimJson({ id: "fooled" }),
        claimJson({ id: "open" }),
        claimJson({ id: "closed" }),
      ],
    });
    const estimate = (value: number) => {
      const contrast = { estimate: value, low: value - 1, high: value + 1, n: 40, level: 0.95 };
      return { effect: { contrast, measured: contrast } };
    };
    const effects: Readonly<Record<string, readonly number[]>> = {
      model: [2, 2, 0],
      random: [0, 2, 0],
      holds: [2, 2, 2],
      reverses: [-2, -2, -2],
    };
    matrix = await claimsMatrix(study, ({ id }) => {
      const [moves, fooled, open] = effects[id].map(estimate);
      return { evidence: { moves, fooled, open, closed: { untestable: hostile } } };
    });
  });

  it("is a table of six columns, a row for each test, in which done is not a verdict", () => {
    const { columns, cells, caption } = claimTable(matrix);
    assert.deepEqual(
      columns.map(({ name }) => name),
      ["claim", "measured", "found", "rule", "done", "verdict"],
    );
    assert.deepEqual(
      cells.map((row) => [row[4], row[5].split(":")[0]]),
      [
        ["yes", "✓ supported (3 of 3 seeds)"],
        ["yes", "–! not testable"],
        ["yes", "? undecided (3 of 3 seeds)"],
        ["no", "– not testable (3 of 3 seeds)"],
      ],
    );
    const measures = "change of the answer's log-probability (nats)";
    assert.deepEqual(cells[0].slice(1, 4), [measures, "2 [1, 3]", "above 0"]);
    assert.match(cells[1][5], /: the rule is met as well by random weights/);
    assert.equal(caption, "A made-up study: 1 supported, 0 contradicted, 1 undecided, 2 not testable");
  });

  it("is a table of some claims, and names one that there is not", () => {
    assert.deepEqual(claimRows(matrix, ["closed", "open"]).cells, [
      [
        "The edit moves the answer (2.1)",
        "change of the answer's log-probability (nats)",
        "0 [−1, 1]",
        "above 0",
        "? undecided (3 of 3 seeds)",
      ],
      ["The edit moves the answer (2.1)", "", "not measured", "", "– not testable (3 of 3 seeds)"],
    ]);
    assert.throws(() => claimRows(matrix, ["opne"]), /no claim "opne".*Did you mean "open"/);
  });

  it("is a figure in which every verdict has its colour and mark, and flags stand out", () => {
    const figure = matrixFigure(matrix);
    const [tiles, ...legend] = figure.data;
    assert.deepEqual(tiles.text, [
      ["✓", "?", "✓", "✗"],
      ["–!", "✓!", "✓", "✗"],
      ["?", "?", "✓", "✗"],
      ["–", "–", "–!", "–!"],
    ]);
    assert.deepEqual(
      legend.map(({ name }) => name),
      Object.entries(verdictStyles).map(([verdict, { mark }]) => `${mark} ${verdict}`),
    );
    const colours = Object.values(verdictStyles).map(({ color }) => color);
    assert.equal(new Set(colours).size, 4);
    assert.deepEqual((tiles.z as number[][])[0], [0, 2, 0, 1]);
  });

  it("is a forest plot of some claims, with nulls and limits in the rule's unit, whose title counts the verdicts", async () => {
    const rule = { kind: "above", threshold: 0.25, against: "null", shareOf: "the full patch" };
    const tests = { effect: { measures: "shift", quantity: "mean", rule } };
    const study = studyOf({ claims: [claimJson({ tests }), claimJson({ id: "untested" })] });
    const { tests: found } = study.claims[0];
    const nulls = [0.8, 0.9, 1, 1.1, 1.2].map((level) => Array.from({ length: 40 }, () => level));
    const around = (level: number) => Array.from({ length: 40 }, (_, i) => level + 0.1 * (i % 2 ? 1 : -1));
    const own = await claimsMatrix(study, () => ({
      evidence: {
        moves: {
          effect: evidenceOf(found.get("effect")!, { measured: around(3), nulls, ceiling: around(5) }),
        },
        untested: { untestable: "no text" },
      },
    }));
    const { data, layout } = claimForest(own, ["moves", "untested"], { title: "Shifts" }) as Figure;
    assert.equal(titleOf({ data, layout }), "Shifts: 1 of 1 test supported");
    // (3 − 1) of (5 − 1), against nulls of ±0.2 of 4.
    assert.ok(Math.abs(Number((data[0].x as number[])[0]) - 0.5) < 1e-9);
    const [band, limit] = layout.shapes ?? [];
    assert.ok(Math.abs(Number(band.x0) + 0.05) < 1e-9 && Math.abs(Number(band.x1) - 0.05) < 1e-9);
    assert.deepEqual([limit.x0, limit.x1], [0.25, 0.25]);
  });

  it("escapes the documents' and models' text", async () => {
    const figure = matrixFigure(matrix);
    const drawn = await toSvg(figure);
    assert.doesNotMatch(JSON.stringify(figure), /<img/);
    assert.match(drawn, /supported/);
  });
});
