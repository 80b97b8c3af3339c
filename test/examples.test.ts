import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { packageRoot } from "../lib/package-root.js";

const folder = mkdtempSync(join(tmpdir(), "modalscope-examples-"));
after(() => rmSync(folder, { recursive: true }));

const run = (name: string): string =>
  execFileSync(process.execPath, [join(packageRoot(), "dist", "examples", `${name}.js`)], {
    cwd: folder,
    encoding: "utf8",
  });

const config = JSON.parse(
  readFileSync(join(packageRoot(), "data", "models", "maths-zh-en", "config.json"), "utf8"),
);
const layers: number = config.num_hidden_layers;
const heads: number = config.num_attention_heads;

/** By example: what it prints, as far as the checkpoints decide it. */
const CHECKS: Readonly<Record<string, (printed: string) => void>> = {
  capture: (printed) => {
    const [, shown, count] = /\[ 1, (\d+), 1, \d+ \]\n(\d+) heads in attention\.png/.exec(printed)!;
    assert.equal(Number(shown), heads);
    assert.equal(Number(count), layers * heads);
    assert.ok(existsSync(join(folder, "attention.png")));
  },
  ablation: (printed) => {
    assert.equal(printed.match(/^block \d+: -?\d+\.\d\d nats$/gm)?.length, layers);
    // The block that is found must matter in generation too.
    const [, intact, damaged] = /intact: "(.*)", without the MLP of block \d+: "(.*)"/.exec(printed)!;
    assert.match(intact, /^14/);
    assert.doesNotMatch(damaged, /^14/);
  },
  "sweep-in-parts": (printed) => {
    assert.equal(printed, `${layers} × layer, 2 × keep\n${2 * layers} of ${2 * layers} points are there\n`);
  },
  lens: (printed) => {
    const readings = [...printed.matchAll(/^after block \d+: "(.*)"$/gm)].map(([, token]) => token);
    assert.equal(readings.length, layers);
    assert.notEqual(readings[0], "14");
    // The head reads off the last block what the model says.
    assert.equal(readings[layers - 1], /^the model: "(.*)"$/m.exec(printed)![1]);
    assert.equal(readings[layers - 1], "14");
  },
  overlay: (printed) => {
    const [shape, tokens] = /visual tokens: \[ (\d+, \d+, (\d+)) \]/.exec(printed)!.slice(1);
    const page = readFileSync(join(folder, "overlay.html"), "utf8");
    assert.ok(page.includes(`for each of ${tokens} visual tokens`), shape);
    assert.match(page, /<img src="data:image\/png;base64,.*<iframe sandbox="allow-scripts"/s);
  },
  image: (printed) => {
    const [own, other] = [...printed.matchAll(/: (\d+) of 24 right/g)].map(([, n]) => Number(n));
    assert.ok(own >= 22 && other <= 12, printed);
  },
  claim: (printed) => {
    const [english, chinese] = [...printed.matchAll(/: (\d+)\/\d+ = /g)].map(([, n]) => Number(n));
    const [, first, second] = /only in English (\d+), only in Chinese (\d+); McNemar p = [01]\.\d+/.exec(
      printed,
    )!;
    assert.equal(english - Number(first), chinese - Number(second));
  },
};

describe("examples", () => {
  it("all have a check", () => {
    const scripts = readdirSync(join(packageRoot(), "examples")).filter((file) => file.endsWith(".ts"));
    assert.deepEqual(scripts.map((file) => file.replace(".ts", "")).sort(), Object.keys(CHECKS).sort());
  });
  for (const [name, check] of Object.entries(CHECKS)) it(`${name} runs`, () => check(run(name)));
});
