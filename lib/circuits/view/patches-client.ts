/** Script of a graph's page for edges from image patches. `data`, `nodes`, `select` and the helpers come before it. */
export const patchesClient = `
const patches = data.patches;
// What each patch reaches: pairs of a node and a weight, the strongest first.
const reached = new Map();
nodes.forEach((node, i) => {
  for (const [patch, weight] of node.patches?.cells ?? []) {
    if (!reached.has(patch)) reached.set(patch, []);
    reached.get(patch).push([i, weight]);
  }
});
for (const list of reached.values()) list.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));

function cellShape(patch, weight, most, line) {
  const [, x0, y0, x1, y1] = patches.cells[patch];
  const size = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  const shape = element("svg:rect", "", { ...size, class: "cell " + (weight < 0 ? "negative" : "positive"),
    "fill-opacity": most > 0 ? (0.85 * Math.abs(weight)) / most : 0, "data-patch": patch });
  shape.addEventListener("pointerenter", () => { line.textContent = "patch " + patch + ": " + shown(weight); });
  return shape;
}

function patchImages(cells, line) {
  const most = Math.max(0, ...cells.map(([, weight]) => Math.abs(weight)));
  return patches.images.map(({ uri, width, height }, image) => {
    const own = cells.filter(([patch]) => patches.cells[patch]?.[0] === image);
    const whole = uri ? element("svg:image", "", { href: uri, width, height, preserveAspectRatio: "none" })
      : element("svg:rect", "", { width, height, class: "blank" });
    const label = "image with the edges of " + own.length + " patches";
    return element("svg:svg", [whole, ...own.map(([patch, weight]) => cellShape(patch, weight, most, line))],
      { viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": label, class: "patches" });
  });
}

const patchButton = ([patch, weight], total) => {
  const button = element("button", [element("span", "patch " + patch), element("b", shown(weight) + "  " + percent(Math.abs(weight) / total))], { type: "button" });
  button.addEventListener("click", () => selectPatch(patch));
  return element("li", button);
};

/** The image with what a node has of each patch, the strongest patches, and what is not drawn. */
function patchPanel(node) {
  if (!patches || !node.patches) return [];
  const { cells, others, constant } = node.patches;
  const total = cells.reduce((sum, [, weight]) => sum + Math.abs(weight), 0) || 1;
  const line = element("p", "Point at a patch for its edge; click for all that it reaches.", { class: "quiet", "aria-live": "polite" });
  const rest = "smaller patches " + shown(others) + ", the tower's positions and biases " + shown(constant);
  const images = patchImages(cells, line);
  for (const image of images)
    image.addEventListener("click", ({ target }) => {
      const cell = target.closest("[data-patch]");
      if (cell) selectPatch(Number(cell.dataset.patch));
    });
  return [element("h3", "from the image"), ...images, line,
    element("ol", cells.slice(0, 5).map((cell) => patchButton(cell, total))), element("p", rest, { class: "quiet" })];
}

/** The patches of the likeliest answer, as long as no node is chosen. */
function firstPatches() {
  const node = nodes[patches?.first ?? -1];
  return node ? [element("h2", nameOf(node)), ...patchPanel(node)] : [];
}

/** A patch in its image, and the nodes that it reaches, which stand out in the graph. */
function selectPatch(patch) {
  select(-1);
  const list = (reached.get(patch) ?? []).filter(([node]) => isKept(nodes[node]));
  const near = new Set(list.map(([node]) => node));
  drawn.forEach((shape, i) => {
    shape.classList.toggle("near", near.has(i));
    shape.classList.toggle("away", !near.has(i));
  });
  edgeLayer.replaceChildren();
  const total = list.reduce((sum, [, weight]) => sum + Math.abs(weight), 0) || 1;
  const rows = list.slice(0, 25).map(([i, weight]) => nodeButton(i, weight, total));
  const images = patchImages([[patch, 1]], element("p", "")).filter((image) => image.querySelector("[data-patch]"));
  panel.replaceChildren(element("h2", "patch " + patch), ...images, element("h3", "outputs (" + list.length + ")"), element("ol", rows));
  panel.scrollTop = 0;
}
`;
