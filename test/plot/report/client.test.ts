import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { facets, lines } from "../../../lib/plot/index.js";
import type { Figure, Layout } from "../../../lib/plot/plotly.js";
import { client } from "../../../lib/plot/report/client.js";

interface Client {
  headingAt(layout: Layout, width: number): Layout;
  axesAt(layout: Layout, width: number): Layout;
  columnsOf(layout: Layout): number;
}

/** The script's functions, in a page without figures. */
function scripted(): Client {
  const element = { classList: { add() {} }, dataset: {}, clientWidth: 400, addEventListener() {} };
  const page = { documentElement: element, querySelectorAll: () => [], querySelector: () => element };
  const names = ["document", "matchMedia", "IntersectionObserver", "addEventListener"];
  const run = new Function(...names, `${client}; return { headingAt, axesAt, columnsOf };`);
  return run(
    page,
    () => element,
    class {},
    () => {},
  ) as Client;
}

describe("the report's script", () => {
  const { headingAt, axesAt, columnsOf } = scripted();
  const title = "A title of more words than fit one line of a telephone";
  const figure = (more = {}): Figure =>
    lines([1, 2, 3], { title, subtitle: "mean and 95% interval over 100 captions, and more of it", ...more });

  it("breaks titles at the width of a narrow page, and makes room for the lines", () => {
    const { layout } = figure();
    const narrow = headingAt(layout, 368);
    const [own, under] = [narrow.title!.text!, (narrow.title!.subtitle as { text: string }).text];
    assert.equal(own.replaceAll("<br>", " "), title);
    assert.deepEqual([own.split("<br>").length, under.split("<br>").length], [2, 2]);
    assert.equal(narrow.margin!.t, layout.margin!.t + 22 + 17);
    assert.equal(narrow.height, layout.height! + 22 + 17);
    assert.deepEqual(headingAt(layout, 900), {});
    assert.deepEqual(headingAt({}, 368), {});
  });

  it("breaks the titles of horizontal axes", () => {
    const { layout } = figure({ x: "measured, or its difference from what it is compared with" });
    assert.match(axesAt(layout, 368).xaxis!.title!.text!, /^measured, or its difference<br>from /);
    assert.deepEqual(axesAt(layout, 900), {});
  });

  it("counts panels side by side", () => {
    const panels = [figure(), figure(), figure()];
    assert.equal(columnsOf(facets(panels, { columns: 3 }).layout), 3);
    assert.equal(columnsOf(facets(panels, { columns: 1 }).layout), 1);
    assert.equal(columnsOf(figure().layout), 1);
  });
});
