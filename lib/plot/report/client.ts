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
  const spec = JSON.parse(node.querySelector("script").textContent);
  drawn.add(node);
  Plotly.react(node.querySelector(".plot"), spec.data, { ...spec.layout, template: templates[theme()] }, config);
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
