/**
 * Script of the report: it draws figures when they come near the window, in the theme of the page, and serves
 * two buttons. Plotly, its `config` and `templates` (by theme) are loaded before it.
 */
export const client = `
"use strict";
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
root.classList.add("scripted");

const theme = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
const drawn = new Set();

function draw(node) {
  const { data, layout } = JSON.parse(node.querySelector("script").textContent);
  const plot = node.querySelector(".plot");
  drawn.add(node);
  // Panels side by side need room: on a narrow page they are scrolled.
  plot.style.minWidth = columnsOf(layout) > 1 ? "600px" : "";
  const width = node.clientWidth;
  const fitted = { ...layout, ...headingAt(layout, width), ...axesAt(layout, width), template: templates[theme()] };
  // Without a pointer the buttons are always there, over the title where the page is narrow.
  Plotly.react(plot, data, fitted, width < 600 ? { ...config, displayModeBar: false } : config);
}

/** Panels side by side. */
function columnsOf(layout) {
  const axes = Object.keys(layout).filter((name) => name.startsWith("xaxis"));
  return new Set(axes.map((name) => layout[name].domain?.[0] ?? 0)).size;
}

/** Titles in lines that fit a width, with the room that more lines take; they were broken for wide pages. */
function headingAt({ title, margin, height }, width) {
  if (!title?.text || !margin || width >= 700) return {};
  const lines = (text, size) => broken((text ?? "").replaceAll("<br>", " "), (width - 32) / (0.56 * size));
  const [own, under] = [lines(title.text, 17), lines(title.subtitle?.text, 13)];
  const before = (text) => (text ? text.split("<br>").length : 0);
  const more = 22 * (own.length - before(title.text)) + 17 * (under.length - before(title.subtitle?.text));
  const subtitle = { ...title.subtitle, text: under.join("<br>") };
  const pad = { ...title.pad, t: own.length > 1 ? 27 : 14 };
  return {
    title: { ...title, text: own.join("<br>"), pad, ...(under.length > 0 ? { subtitle } : {}) },
    margin: { ...margin, t: margin.t + more },
    height: height === undefined ? undefined : height + more,
  };
}

/** Horizontal axes with titles in lines that fit a width. */
function axesAt(layout, width) {
  const long = Object.entries(layout).filter(([name, axis]) => name.startsWith("xaxis") && axis.title?.text);
  const fitting = (text) => broken(text, (width - 160) / (0.56 * 13)).join("<br>");
  if (width >= 600) return {};
  return Object.fromEntries(
    long.map(([name, axis]) => [name, { ...axis, title: { ...axis.title, text: fitting(axis.title.text) } }]),
  );
}

/** Text in lines of at most so many characters where words allow it. */
function broken(text, columns) {
  const lines = [];
  for (const word of text.split(" ").filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines.push(lines.pop() + " " + word);
    else lines.push(word);
  }
  return lines;
}

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    // A figure that plotly cannot draw costs no other its place.
    try {
      draw(target);
    } catch (error) {
      target.querySelector(".plot").textContent = "This figure cannot be shown: " + error.message;
    }
  }
}, { rootMargin: "800px" });
for (const node of document.querySelectorAll(".figure")) near.observe(node);

const redraw = () => drawn.forEach(draw);
system.addEventListener("change", redraw);
let page = root.clientWidth;
addEventListener("resize", () => {
  // Titles are broken anew where the width has changed; a phone's bars change the height alone.
  if (root.clientWidth !== page) redraw();
  page = root.clientWidth;
});
document.querySelector("#theme").addEventListener("click", () => {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  redraw();
});
document.querySelector("#code").addEventListener("click", () => {
  const blocks = [...document.querySelectorAll("details.code")];
  const open = blocks.some((block) => !block.open);
  for (const block of blocks) block.open = open;
});
`;
