/** Scripts of the views' pages. Text from models becomes text nodes alone, never markup. */
import { patchesClient } from "./patches-client.js";

/**
 * Makes the panel of a feature: `panelOf(key)` is an element, or undefined where there is no dashboard of
 * that key.
 */
export const panelClient = `
const SVG = "http://www.w3.org/2000/svg";
function element(name, content, attributes = {}) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const one of Array.isArray(content) ? content : [content])
    if (one !== undefined && one !== "") made.append(one);
  return made;
}
const shown = (x) => String(Number(x.toPrecision(3)));
const percent = (x) => (100 * x).toFixed(x < 0.0995 ? 1 : 0) + " %";
const visible = (text) => text.replace(/\\n/g, "⏎").replace(/^ | $/g, "·") || "·";
const dashboards = new Map(data.dashboards.map((one) => [one.key, one]));

function heat(share, most = 85) {
  return "rgb(213 94 0 / " + Math.round(most * Math.max(0, Math.min(1, share))) + "%)";
}

function exampleOf({ text, value, image, boxes }, most) {
  const words = text.map(([word, activation]) => {
    const mark = element("mark", visible(word) + " ", { title: shown(activation) });
    mark.style.background = activation > 0 ? heat(activation / most) : "none";
    return mark;
  });
  const parts = [element("div", [element("span", shown(value) + "  ", { class: "quiet" }), ...words])];
  if (image !== undefined) {
    const { uri, width, height } = data.images[image];
    const whole = element("svg:image", "", { href: uri, width, height, preserveAspectRatio: "none" });
    const cells = boxes.map(([x0, y0, x1, y1, activation]) =>
      element("svg:rect", element("svg:title", shown(activation)), {
        ...{ x: x0, y: y0, width: x1 - x0, height: y1 - y0 },
        fill: heat(activation / most, 55),
        stroke: "#d55e00",
        "stroke-width": width / 96,
      }));
    const label = "image with " + boxes.length + " active patches";
    parts.unshift(element("svg:svg", [whole, ...cells], { viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": label }));
  }
  return element("div", parts, { class: "example" });
}

function panelOf(key) {
  const one = dashboards.get(key);
  if (!one) return undefined;
  const parts = [];
  if (one.label) parts.push(element("p", [one.label + " ", element("span", "(" + one.score + ")", { class: "quiet" })]));
  parts.push(element("p", "active at " + percent(one.frequency) + " of tokens; " + percent(one.imageShare) + " of it on images", { class: "quiet" }));
  const { counts, most } = one.histogram;
  const tallest = Math.max(1, ...counts);
  parts.push(element("h3", "activations, 0 to " + shown(most)));
  parts.push(element("div", counts.map((count, i) => {
    const bar = element("i", "", { title: count + " tokens" });
    bar.style.height = (100 * count) / tallest + "%";
    return bar;
  }), { class: "bars" }));
  if (one.raised.length > 0) {
    const list = (title, items) => element("div", [element("h3", title), ...items.map(([text, effect]) =>
      element("span", [element("span", visible(text)), element("b", shown(effect))]))]);
    parts.push(element("div", [list("logits raised", one.raised), list("logits lowered", one.lowered)], { class: "ends" }));
  }
  parts.push(element("h3", "top examples"));
  parts.push(...one.examples.map((example) => exampleOf(example, most || 1)));
  if (one.examples.length === 0) parts.push(element("p", "active nowhere in the corpus", { class: "quiet" }));
  return element("div", parts);
}
`;

/** The graph: nodes, the edges of the one that is chosen, its panel. `data` and `panelOf` come before it. */
export const client: string = `
const { nodes, links } = data;
${patchesClient}
const [edgeLayer, nodeLayer, panel] = ["edges", "nodes", "panel"].map((id) => document.getElementById(id));
const [share, kept, find] = ["share", "kept", "find"].map((id) => document.getElementById(id));
const into = nodes.map(() => []);
const out = nodes.map(() => []);
links.forEach((link) => { into[link[1]].push(link); out[link[0]].push(link); });
const byWeight = (a, b) => Math.abs(b[2]) - Math.abs(a[2]);
for (const list of [...into, ...out]) list.sort(byWeight);
const AT_FIRST = 60;
let current = -1;

function nameOf({ kind, label, type, token, dashboard }) {
  if (label) return label;
  if (kind !== "feature") return type + " " + visible(token);
  const about = dashboards.get(dashboard)?.label;
  return "feature " + dashboard.replace("_", " / ") + (about ? ": " + about : "");
}
const isKept = (node) => node.influence === null || node.influence <= Number(share.value) || node.kind === "token" || node.kind === "logit";

const SHAPES = { feature: ["svg:circle", { r: 5 }], error: ["svg:rect", { x: -4, y: -4, width: 8, height: 8 }],
  token: ["svg:rect", { x: -5, y: -5, width: 10, height: 10 }], logit: ["svg:rect", { x: -5, y: -5, width: 10, height: 10 }],
  other: ["svg:path", { d: "M0 -6L6 0L0 6L-6 0Z" }] };
const drawn = nodes.map((node, i) => {
  const [shape, attributes] = SHAPES[node.kind];
  const title = element("svg:title", nameOf(node) + ", layer " + node.layer + ", token " + node.position + " " + visible(node.token));
  const made = element(shape, title, { ...attributes, class: "node " + node.kind, tabindex: 0, role: "button",
    transform: "translate(" + node.x + " " + node.y + ")", "data-node": i });
  if (node.group >= 0) made.style.stroke = data.colours[node.group % data.colours.length];
  nodeLayer.append(made);
  return made;
});

function drawEdges(list) {
  const most = Math.max(...list.map((link) => Math.abs(link[2])), 1e-30);
  edgeLayer.replaceChildren(...list.map(([from, to, weight]) => {
    const [a, b] = [nodes[from], nodes[to]];
    const middle = (a.y + b.y) / 2;
    return element("svg:path", "", { class: "edge " + (weight < 0 ? "negative" : "positive"),
      d: "M" + a.x + " " + a.y + "C" + a.x + " " + middle + " " + b.x + " " + middle + " " + b.x + " " + b.y,
      "stroke-width": 0.5 + (3.5 * Math.abs(weight)) / most, "stroke-opacity": 0.35 + (0.6 * Math.abs(weight)) / most });
  }));
}

const shownLinks = (list) => list.filter(([from, to]) => isKept(nodes[from]) && isKept(nodes[to]));

/** A node in a list of the panel, with the weight of an edge and its share of the list's. */
function nodeButton(index, weight, total) {
  const node = nodes[index];
  const button = element("button", [element("span", nameOf(node) + " · layer " + node.layer + " · " + visible(node.token)),
    element("b", shown(weight) + "  " + percent(Math.abs(weight) / total))], { type: "button" });
  button.addEventListener("click", () => select(index, true));
  return element("li", button);
}

function listOf(title, list, end) {
  const all = shownLinks(list);
  const total = all.reduce((sum, link) => sum + Math.abs(link[2]), 0);
  const rows = all.slice(0, 25).map((link) => nodeButton(link[end], link[2], total));
  return [element("h3", title + " (" + all.length + ")"), element("ol", rows)];
}

function select(index, focus) {
  current = index;
  const near = new Set();
  if (index >= 0) {
    for (const [from] of shownLinks(into[index])) near.add(from);
    for (const link of shownLinks(out[index])) near.add(link[1]);
  }
  const wanted = find.value.trim().toLowerCase();
  let count = 0;
  drawn.forEach((shape, i) => {
    const node = nodes[i];
    const hidden = !isKept(node);
    const text = [node.id, node.label, node.token, data.groups[node.group] ?? "", dashboards.get(node.dashboard)?.label ?? ""].join(" ").toLowerCase();
    const unlike = wanted !== "" && !text.includes(wanted);
    count += hidden ? 0 : 1;
    shape.style.display = hidden ? "none" : "";
    shape.classList.toggle("current", i === index);
    shape.classList.toggle("near", near.has(i));
    shape.classList.toggle("away", unlike || (index >= 0 && i !== index && !near.has(i)));
  });
  kept.textContent = count + " of " + nodes.length + " nodes";
  if (index < 0) {
    drawEdges(shownLinks([...links].sort(byWeight)).slice(0, AT_FIRST));
    panel.replaceChildren(element("p", "Choose a node: its inputs, its outputs and what it is about stand here. Drawn are the "
      + Math.min(AT_FIRST, links.length) + " strongest of " + links.length + " edges.", { class: "quiet" }), ...firstPatches());
    return;
  }
  drawEdges([...shownLinks(into[index]), ...shownLinks(out[index])].slice(0, 200));
  const node = nodes[index];
  const facts = [node.type, "layer " + node.layer, "token " + node.position + " " + visible(node.token)];
  if (node.group >= 0) facts.push("group " + data.groups[node.group]);
  if (node.activation !== null) facts.push("activation " + shown(node.activation));
  if (node.influence !== null) facts.push("in at " + percent(node.influence) + " of influence");
  const about = panelOf(node.dashboard);
  panel.replaceChildren(...[element("h2", nameOf(node)), element("p", facts.join(" · "), { class: "quiet" }),
    node.verification ? element("p", "verified: " + node.verification) : undefined, about,
    ...patchPanel(node), ...listOf("inputs", into[index], 0), ...listOf("outputs", out[index], 1)].filter((one) => one !== undefined));
  panel.scrollTop = 0;
  if (focus) drawn[index].focus();
}

nodeLayer.addEventListener("click", ({ target }) => {
  const chosen = target.closest("[data-node]");
  if (chosen) select(Number(chosen.dataset.node));
});
nodeLayer.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  select(Number(event.target.dataset.node));
});
document.getElementById("graph").addEventListener("click", ({ target }) => {
  if (!target.closest("[data-node]")) select(-1);
});
document.addEventListener("keydown", ({ key }) => { if (key === "Escape") select(-1); });
share.addEventListener("input", () => select(current));
find.addEventListener("input", () => select(current));
select(-1);
// The logits stand at the last token.
const frame = document.getElementById("graph");
const toLogits = () => { frame.scrollLeft = frame.scrollWidth; };
toLogits();
addEventListener("load", toLogits);
`;
