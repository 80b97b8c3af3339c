/** `npm run check:real -- CHECKPOINT [GOLDENS]`: a real checkpoint against transformers. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { ModalscopeError } from "../../lib/errors.js";
import { readSafetensors } from "../../lib/model/checkpoint/index.js";
import { type LoadOptions, loadModel } from "../../lib/model/load.js";
import type { Model } from "../../lib/model/model.js";
import type { Tensor } from "../../lib/tensor.js";

/** max|a − b| / max|b| that a prompt's logits and last residuals may differ by. */
const TOLERANCE = 1e-3;
/** A greedy continuation may part from the reference where its two best logits are this near. */
const MARGIN = 1e-3;

interface Prompt {
  readonly language: string;
  readonly chat: boolean;
  readonly input: string;
  readonly ids: number[];
  readonly continuation: number[];
  readonly margins: number[];
}

interface Outcome {
  readonly tokensAgree: boolean;
  readonly last: number;
  readonly top: number;
  readonly stream: number;
  /** Step of the first other token, and the reference's margin there. */
  readonly divergence?: { readonly step: number; readonly margin: number };
}

async function main(path: string, given: string | undefined, options: LoadOptions): Promise<boolean> {
  const goldens = given ?? makeGoldens(path);
  const { prompts } = JSON.parse(readFileSync(join(goldens, "golden.json"), "utf8")) as { prompts: Prompt[] };
  const reference = readSafetensors(join(goldens, "golden.safetensors"));
  const started = performance.now();
  const model = await loadModel(path, options);
  console.log(
    `${path} loaded in ${((performance.now() - started) / 1000).toFixed(1)} s; ${prompts.length} prompts`,
  );
  console.log(" #  lang  tokens  ids    last logits  top-20 logits  residuals  30 greedy tokens");
  let passed = true;
  for (const [i, prompt] of prompts.entries()) {
    const outcome = await checkPrompt(model, prompt, (name) => reference.get(`${i}/${name}`)!);
    const good = isGood(outcome);
    passed &&= good;
    console.log(line(i, prompt, outcome, good));
  }
  console.log(passed ? "All prompts agree." : `Some prompts differ by more than ${TOLERANCE}.`);
  await model.close();
  return passed;
}

async function checkPrompt(model: Model, prompt: Prompt, golden: (name: string) => Tensor): Promise<Outcome> {
  const own = model.tokenizer?.encode(prompt.input, { add_special_tokens: !prompt.chat });
  const batch = model.batch([prompt.ids]);
  const { logits, cache } = await model.run(batch, {
    capture: [{ hook: "blocks.*.hook_resid_post", positions: "last" }],
  });
  const vocabulary = model.config.vocab_size;
  const last = logits!.data.subarray((prompt.ids.length - 1) * vocabulary);
  const [row] = await model.generate(batch, { maxNewTokens: prompt.continuation.length, eosTokenIds: [] });
  const step = row.ids.findIndex((id, t) => id !== prompt.continuation[t]);
  return {
    tokensAgree: own !== undefined && Array.from(own, Number).join() === prompt.ids.join(),
    last: drift(last, golden("last_logits").data),
    top: topDrift(logits!, golden("top_ids"), golden("top_logits")),
    stream: Math.max(
      ...model.layers.map((l) =>
        streamDrift(cache.get(`blocks.${l}.hook_resid_post`), golden("resid_post"), l),
      ),
    ),
    divergence: step < 0 ? undefined : { step, margin: prompt.margins[step] },
  };
}

function isGood({ tokensAgree, last, top, stream, divergence }: Outcome): boolean {
  return (
    tokensAgree && Math.max(last, top, stream) <= TOLERANCE && (!divergence || divergence.margin < MARGIN)
  );
}

function line(i: number, prompt: Prompt, o: Outcome, good: boolean): string {
  const number = (x: number): string => x.toExponential(1);
  const greedy = o.divergence
    ? `parts at step ${o.divergence.step}, margin ${number(o.divergence.margin)}`
    : "identical";
  const cells = [String(i).padStart(2), prompt.language.padStart(4), String(prompt.ids.length).padStart(7)];
  cells.push(
    o.tokensAgree ? "same " : "OTHER",
    number(o.last).padStart(12),
    number(o.top).padStart(14),
    number(o.stream).padStart(10),
    greedy,
  );
  return `${cells.join("  ")}${good ? "" : "  ✖"}`;
}

function drift(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= worst)) worst = difference;
    size = Math.max(size, Math.abs(b[i]));
  }
  return worst / size;
}

/** The reference's best logits at every position, against ours of the same tokens. */
function topDrift(logits: Tensor, ids: Tensor, values: Tensor): number {
  const vocabulary = logits.shape[2];
  const [positions, n] = ids.shape;
  const own = new Float32Array(positions * n);
  for (let i = 0; i < own.length; i++) own[i] = logits.data[Math.floor(i / n) * vocabulary + ids.data[i]];
  return drift(own, values.data);
}

function streamDrift(own: Tensor, reference: Tensor, layer: number): number {
  const width = reference.shape[1];
  return drift(own.data, reference.data.subarray(layer * width, (layer + 1) * width));
}

/** Lets transformers compute the reference, where a Python with it is at hand. */
function makeGoldens(path: string): string {
  const python = process.env.MODALSCOPE_PYTHON ?? "python3";
  if (spawnSync(python, ["-c", "import torch, transformers, safetensors"]).status !== 0) {
    throw new ModalscopeError(
      "There is nothing to compare with.",
      `${python} has no torch, transformers and safetensors to compute the reference.`,
      "Set MODALSCOPE_PYTHON to a Python that has them, or give a folder made by test/fixtures/real/make.py.",
    );
  }
  const folder = mkdtempSync(join(tmpdir(), "modalscope-goldens-"));
  const script = join(import.meta.dirname, "../../../test/fixtures/real/make.py");
  const { status } = spawnSync(python, [script, path, folder], { stdio: "inherit" });
  if (status !== 0) throw new ModalscopeError(`${script} failed on ${path}.`, `It ended with ${status}.`);
  return folder;
}

const program = new Command("check:real")
  .description(
    "Compares a real checkpoint (folder or .gguf) with transformers on 20 prompts in two languages.",
  )
  .argument("<checkpoint>")
  .argument("[goldens]", "folder made by test/fixtures/real/make.py; without it transformers is run now")
  .option("--device <name>", "cpu, webgpu or cuda", "cpu")
  .option("--memory <size>", "memory budget, such as 2GB")
  .parse();
const [path, goldens] = program.args;
if (!existsSync(path)) program.error(`There is no ${path}.`);
process.exitCode = (await main(path, goldens, program.opts<LoadOptions>())) ? 0 : 1;
