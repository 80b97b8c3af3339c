import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { JSDOM } from "jsdom";
import {
  dashboardView,
  type FeatureCorpus,
  featureDashboard,
  type GraphJson,
  graphView,
  writeFeatureFiles,
} from "../../lib/circuits/index.js";
import type { Html } from "../../lib/plot/index.js";
import { encodePng } from "../../lib/tasks/index.js";

const HOSTILE = "</script><img src=x onerror=alert(1)>";

const graph: GraphJson = {
  metadata: { slug: "g", scan: "s", prompt: "p", prompt_tokens: ["<bos>", HOSTILE, "star"] },
  nodes: [
    { node_id: "E_2_0", layer: "E", ctx_idx: 0, feature_type: "embedding" },
    { node_id: "E_7_1", layer: "E", ctx_idx: 1, feature_type: "embedding" },
    {
      node_id: "0_3_1",
      layer: "0",
      ctx_idx: 1,
      feature_type: "cross layer transcoder",
      activation: 2,
      influence: 0.4,
      clerp: HOSTILE,
    },
    { node_id: "0_-1_2", layer: "0", ctx_idx: 2, feature_type: "mlp reconstruction error", influence: 0.9 },
    {
      ...{
        node_id: "1_5_2",
        layer: "1",
        ctx_idx: 2,
        feature_type: "cross layer transcoder",
        activation: 1,
        influence: 0.6,
      },
      verification: "0.5 predicted, 0.5 measured",
    },
    {
      node_id: "3_9_2",
      layer: "3",
      ctx_idx: 2,
      feature_type: "logit",
      clerp: 'Output "x" (p=0.9)',
      token_prob: 0.9,
    },
  ],
  links: [
    { source: "E_7_1", target: "0_3_1", weight: 1.5 },
    { source: "0_3_1", target: "1_5_2", weight: -0.5 },
    { source: "0_-1_2", target: "1_5_2", weight: 0.25 },
    { source: "1_5_2", target: "3_9_2", weight: 2 },
  ],
};

const corpus: FeatureCorpus = {
  rows: [
    {
      first: 0,
      tokens: [
        { text: "▦", kind: "image", visual: 0 },
        { text: HOSTILE, kind: "text" },
      ],
      image: encodePng({ width: 2, height: 2, data: new Uint8Array(12) }),
      layout: {
        width: 2,
        height: 2,
        tokens: [{ kind: "patch", tile: 0, row: 0, column: 0, box: [0, 0, 2, 2] }],
      },
    },
  ],
  tokens: 2,
  layers: [
    { offsets: Int32Array.of(0, 0, 0, 0, 2), tokens: Int32Array.of(0, 1), values: Float32Array.of(2, 1) },
  ],
};

/** The page in a view's frame, with its scripts run. */
function opened({ html }: Html): Document {
  const outer = new JSDOM(html).window.document;
  const { srcdoc } = outer.querySelector("iframe")!;
  assert.ok(outer.querySelector("img")?.src.startsWith("data:image/png"), "a still lies under it");
  return new JSDOM(srcdoc, { runScripts: "dangerously" }).window.document;
}

const click = (node: Element): boolean =>
  node.dispatchEvent(
    new (node.ownerDocument.defaultView as unknown as { MouseEvent: typeof MouseEvent }).MouseEvent("click", {
      bubbles: true,
    }),
  );

describe("the view of a graph", () => {
  const dashboards = [featureDashboard(corpus, 0, 3)];
  const page = opened(graphView(graph, { title: HOSTILE, dashboards, corpus }));
  const panel = page.querySelector("#panel")!;
  const nodeOf = (id: string): Element =>
    page.querySelector(`[data-node="${graph.nodes.findIndex((n) => n.node_id === id)}"]`)!;

  it("has a shape for each node, and asks for nothing from outside", () => {
    assert.equal(page.querySelectorAll("[data-node]").length, graph.nodes.length);
    assert.match(page.querySelector("meta[http-equiv]")!.getAttribute("content")!, /default-src 'none'/);
    assert.equal(page.querySelectorAll("#edges path").length, graph.links.length);
  });

  it("a chosen node shows its inputs and outputs, its share of them, and what was measured", () => {
    click(nodeOf("1_5_2"));
    const lists = [...panel.querySelectorAll("ol")].map((list) =>
      [...list.querySelectorAll("b")].map((b) => b.textContent),
    );
    assert.deepEqual(lists, [["-0.5  67 %", "0.25  33 %"], ["2  100 %"]]);
    assert.match(panel.textContent!, /verified: 0.5 predicted, 0.5 measured/);
    assert.equal(page.querySelectorAll("#edges path").length, 3);
    assert.equal(page.querySelectorAll("#edges .negative").length, 1);
  });

  it("a feature's panel has its examples, with the image's patches", () => {
    click(nodeOf("0_3_1"));
    assert.equal(panel.querySelectorAll(".example").length, 1);
    assert.equal(panel.querySelectorAll(".example rect").length, 1);
    assert.ok(panel.querySelector(".example image")!.getAttribute("href")!.startsWith("data:image/png"));
  });

  it("text from models stays text", () => {
    click(nodeOf("0_3_1"));
    assert.equal(page.querySelectorAll("img").length, 0);
    assert.equal(panel.querySelector("h2")!.textContent, HOSTILE);
  });

  it("the slider hides what lies beyond the share of influence, tokens and logits never", () => {
    const slider = page.querySelector<HTMLInputElement>("#share")!;
    slider.value = "0.5";
    slider.dispatchEvent(new (page.defaultView as unknown as { Event: typeof Event }).Event("input"));
    const shown = graph.nodes.filter(
      ({ node_id }) => (nodeOf(node_id) as SVGElement).style.display !== "none",
    );
    assert.deepEqual(
      shown.map(({ node_id }) => node_id),
      ["E_2_0", "E_7_1", "0_3_1", "3_9_2"],
    );
    assert.equal(page.querySelector("#kept")!.textContent, "4 of 6 nodes");
  });

  it("says what was followed and verified, and names the groups", () => {
    const told = opened(
      graphView(
        {
          ...graph,
          metadata: {
            ...graph.metadata,
            generation_settings: { influence_followed: 0.983 },
            verification: { edges: 40, coverage: 0.8, beyond: 0 },
          },
          qParams: { supernodes: [["stars", "1_5_2", "0_3_1"], "nothing"] },
        },
        { title: "x" },
      ),
    );
    const header = told.querySelector("header")!.textContent!;
    assert.match(header, /98.3 % of influence followed/);
    assert.match(
      header,
      /40 edges held against interventions: all agree; their sources have 80.0 % of influence/,
    );
    assert.match(page.querySelector("header")!.textContent!, /no edge verified/);
    click(told.querySelector('[data-node="4"]')!);
    assert.match(told.querySelector("#panel")!.textContent!, /group stars/);
  });

  it("refuses graphs that hang loose", () => {
    const loose = { ...graph, links: [{ source: "E_2_0", target: "nowhere", weight: 1 }] };
    assert.throws(() => graphView(loose, { title: "x" }), /to "nowhere" ends at no node/);
    const twice = { ...graph, nodes: [...graph.nodes, graph.nodes[0]] };
    assert.throws(() => graphView(twice, { title: "x" }), /Two nodes are called "E_2_0"/);
  });
});

describe("edges from image patches in the view of a graph", () => {
  // Two patches side by side in an image of 4 × 2 pixels, and a third in a padded one.
  const patched: GraphJson = {
    ...graph,
    patch_edges: {
      ...{ images: 1, per_image: 4, image_of: [0], image_sizes: [[4, 2]] },
      boxes: [[0, 0, 2, 2], [2, 0, 4, 2], null, null],
      inputs: {
        "1_5_2": {
          strongest: [
            [1, -0.5],
            [0, 0.25],
            [2, 0.002],
          ],
          others: 0.1,
          constant: 2,
        },
        "3_9_2": { strongest: [[0, 1]], others: 0, constant: 0 },
      },
    },
  };
  const image = encodePng({ width: 4, height: 2, data: new Uint8Array(24).fill(200) });
  const drawn = graphView(patched, { title: "x", images: [image] });
  const page = opened(drawn);
  const panel = page.querySelector("#panel")!;
  const cells = (): Element[] => [...panel.querySelectorAll(".patches .cell")];
  const choose = (id: string): boolean =>
    click(page.querySelector(`[data-node="${graph.nodes.findIndex((n) => n.node_id === id)}"]`)!);

  it("before a node is chosen they are the likeliest answer's", () => {
    assert.deepEqual(
      cells().map((cell) => cell.getAttribute("data-patch")),
      ["0"],
    );
    assert.ok(panel.querySelector(".patches image")!.getAttribute("href")!.startsWith("data:image/png"));
  });

  it("a node's lie over the image by sign and size, and are read under the pointer", () => {
    choose("1_5_2");
    assert.deepEqual(
      cells().map((cell) => ["x", "width", "class", "fill-opacity"].map((name) => cell.getAttribute(name))),
      [
        ["2", "2", "cell negative", "0.85"],
        ["0", "2", "cell positive", "0.425"],
      ],
    );
    const { Event: PointerEnter } = page.defaultView as unknown as { Event: typeof Event };
    cells()[0].dispatchEvent(new PointerEnter("pointerenter"));
    assert.match(panel.textContent!, /patch 1: -0\.5/);
    assert.match(panel.textContent!, /smaller patches 0\.102, the tower's positions and biases 2/);
    choose("0_3_1");
    assert.deepEqual(cells(), []);
  });

  it("a patch shows the nodes that it reaches, the strongest first", () => {
    choose("1_5_2");
    click(cells()[1]);
    assert.equal(panel.querySelector("h2")!.textContent, "patch 0");
    const reached = [...panel.querySelectorAll("li b")].map((b) => b.textContent);
    assert.deepEqual(reached, ["1  80 %", "0.25  20 %"]);
    assert.equal(page.querySelectorAll(".node.near").length, 2);
    click(panel.querySelector("li button")!);
    assert.equal(panel.querySelector("h2")!.textContent, 'Output "x" (p=0.9)');
  });

  it("the still image has them below the graph", () => {
    const heightOf = ({ html }: Html): number => {
      const [, data] = /src="data:image\/png;base64,([^"]+)"/.exec(html)!;
      return Buffer.from(data, "base64").readUInt32BE(20);
    };
    assert.equal(heightOf(drawn) - heightOf(graphView(graph, { title: "x" })), 256);
  });

  it("refuses images that are not the graph's, and places that are not its patches'", () => {
    const view = (json: GraphJson, images: Uint8Array[]): Html => graphView(json, { title: "x", images });
    assert.throws(() => view(graph, [image]), /no edges from image patches/);
    assert.throws(() => view(patched, [image, image]), /2 images are given, and the graph's prompt has 1/);
    const other = encodePng({ width: 2, height: 2, data: new Uint8Array(12) });
    assert.throws(() => view(patched, [other]), /2×2 pixels, and the layout is of one of 4×2/);
    const without = (change: object): GraphJson =>
      ({ ...patched, patch_edges: { ...patched.patch_edges, ...change } }) as GraphJson;
    assert.throws(() => view(without({ boxes: undefined }), []), /does not say where its patches lie/);
    assert.throws(() => view(without({ per_image: 9 }), []), /places of 4 patches, and 1 × 9/);
    assert.throws(() => view(without({ image_of: [3] }), []), /no image 3/);
    const stray = { "3_9_2": { strongest: [[7, 1]], others: 0, constant: 0 } };
    assert.throws(() => view(without({ inputs: stray }), []), /no patch 7/);
    assert.throws(() => view(without({ boxes: [HOSTILE, null, null, null] }), []), /no number/);
  });
});

describe("the view of dashboards", () => {
  it("has a section for each feature; one that never acts says so", () => {
    const two = [featureDashboard(corpus, 0, 3), featureDashboard(corpus, 0, 1)];
    const page = opened(dashboardView(two, corpus, { title: "Features" }));
    const sections = [...page.querySelectorAll("section")];
    assert.deepEqual(
      sections.map((s) => s.querySelector("h2")!.textContent),
      ["layer 0, feature 3", "layer 0, feature 1"],
    );
    assert.match(sections[0].textContent!, /active at 100 % of tokens; 67 % of it on images/);
    assert.match(sections[1].textContent!, /active nowhere in the corpus/);
  });
});

describe("files of features for circuit-tracer's viewer", () => {
  it("are named by Cantor's pairing, and hold the tokens around the peak of each example", () => {
    const folder = mkdtempSync(join(tmpdir(), "modalscope-features-"));
    const scan = writeFeatureFiles(folder, [featureDashboard(corpus, 0, 3)], corpus);
    assert.equal(scan, "./graph_data/features");
    const { examples_quantiles: quantiles, ...rest } = JSON.parse(
      readFileSync(join(folder, "features/9.json"), "utf8"),
    );
    assert.deepEqual(quantiles[0].examples, [
      {
        tokens: ["▦", HOSTILE],
        tokens_acts_list: [2, 1],
        train_token_ind: 0,
        is_repeated_datapoint: false,
      },
    ]);
    const { histogram, ...facts } = rest;
    assert.equal(histogram.length, 20);
    assert.deepEqual(facts, {
      transcoder_id: "0",
      index: 3,
      top_logits: [],
      bottom_logits: [],
      act_min: 0,
      act_max: 2,
      activation_frequency: 1,
    });
    rmSync(folder, { recursive: true });
  });
});
