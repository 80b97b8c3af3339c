/** Script of an overlay's page; `overlay` and `colourOf` come before it. */
export const client = `
const { axes, cells, values, ranges, stops, scale, levels, unit, whole } = overlay;
const bytes = Uint8Array.from(atob(values), (c) => c.charCodeAt(0));
const codes = new DataView(bytes.buffer);
const tokens = overlay.tokens;
const sliders = [...document.querySelectorAll("input[data-axis]")];
const shared = document.querySelector("#shared");
const opacity = document.querySelector("#opacity");
const readout = document.querySelector("#readout");
const rects = [...document.querySelectorAll("rect[data-cell]")];
let current = -1;

const sliceNumber = () => axes.reduce((at, { length }, i) => at * length + Number(sliders[i].value), 0);

function valueAt(slice, token) {
  const level = codes.getUint16(2 * (slice * tokens + token), true);
  if (level === levels) return Number.NaN;
  if (scale === "category") return level;
  const [low, high] = ranges[slice];
  return low + (level * (high - low)) / (levels - 1);
}

function endsOf([low, high]) {
  const most = Math.max(Math.abs(low), Math.abs(high));
  return scale === "diverging" ? [-most, most] : [low, high];
}

const shown = (value) =>
  Number.isNaN(value) ? "no value" : scale === "category" ? String(value) : String(Number(value.toPrecision(4)));

function read() {
  const cell = cells[current];
  readout.textContent = cell
    ? cell.label + ": " + (unit ? unit + " " : "") + shown(valueAt(sliceNumber(), cell.token))
    : "Point at a token, or move over them with the arrow keys.";
}

function paint() {
  const slice = sliceNumber();
  const [low, high] = endsOf(shared?.checked ? whole : ranges[slice]);
  rects.forEach((rect, i) => {
    const value = valueAt(slice, cells[i].token);
    rect.setAttribute("fill", Number.isNaN(value) ? "none" : colourOf(value, low, high, stops));
    rect.setAttribute("fill-opacity", opacity.value);
  });
  axes.forEach(({ labels }, i) => {
    sliders[i].nextElementSibling.textContent = labels[sliders[i].value];
    sliders[i].setAttribute("aria-valuetext", labels[sliders[i].value]);
  });
  const [least, most] = document.querySelectorAll(".legend span");
  if (least) [least.textContent, most.textContent] = [shown(low), shown(high)];
  read();
}

function select(index) {
  current = index;
  document.querySelectorAll("svg").forEach((svg, panel) => {
    for (const cursor of svg.querySelectorAll(".cursor"))
      for (const side of ["x", "y", "width", "height"])
        cursor.setAttribute(side, cells[index].panel === panel ? rects[index].getAttribute(side) : 0);
  });
  read();
}

const middle = ({ box: [x0, y0, x1, y1] }) => [(x0 + x1) / 2, (y0 + y1) / 2];
const DIRECTIONS = new Map([["ArrowLeft", [-1, 0]], ["ArrowRight", [1, 0]], ["ArrowUp", [0, -1]], ["ArrowDown", [0, 1]]]);

/** The nearest cell in a direction; what lies to the side counts twice. */
function neighbour(from, [dx, dy]) {
  const [x, y] = middle(cells[from]);
  let best = from;
  let least = Number.POSITIVE_INFINITY;
  cells.forEach((cell, i) => {
    if (cell.panel !== cells[from].panel) return;
    const [cx, cy] = middle(cell);
    const along = (cx - x) * dx + (cy - y) * dy;
    const aside = Math.abs((cx - x) * dy) + Math.abs((cy - y) * dx);
    if (along > 1e-6 && along + 2 * aside < least) [best, least] = [i, along + 2 * aside];
  });
  return best;
}

for (const slider of sliders) slider.addEventListener("input", paint);
shared?.addEventListener("input", paint);
opacity.addEventListener("input", paint);
document.querySelectorAll("svg").forEach((svg, panel) => {
  const first = cells.findIndex((cell) => cell.panel === panel);
  svg.addEventListener("pointermove", ({ target }) => {
    if (target.dataset.cell !== undefined) select(Number(target.dataset.cell));
  });
  svg.addEventListener("focus", () => {
    if (cells[current]?.panel !== panel) select(first);
  });
  svg.addEventListener("keydown", (event) => {
    const direction = DIRECTIONS.get(event.key);
    if (!direction) return;
    event.preventDefault();
    select(cells[current]?.panel === panel ? neighbour(current, direction) : first);
  });
});
paint();
`;
