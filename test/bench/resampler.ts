/**
 * `npm run bench:resampler`: what another resampler changes. The same images through our processors, which count as
 * Pillow does, and through those of transformers.js, in values of pixels and in logits of tiny checkpoints.
 */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  CLIPImageProcessor,
  Gemma3ImageProcessor,
  Qwen2VLImageProcessor,
  RawImage,
} from "@huggingface/transformers";
import type { Batch } from "../../lib/model/batch/batch.js";
import { decodeImage, imageProcessor } from "../../lib/model/images/index.js";
import { loadModel } from "../../lib/model/load.js";
import type { Tensor } from "../../lib/tensor.js";

/** Our name, theirs, and whose settings; transformers.js has no processor for LLaVA-NeXT. */
const families = [
  { tiny: "llava-default", real: "llava-1.5-7b-hf", Processor: CLIPImageProcessor },
  { tiny: "gemma3-window", real: "gemma-3-4b-it", Processor: Gemma3ImageProcessor },
  { tiny: "qwen3_vl_moe-top2", real: "Qwen3-VL-30B-A3B-Thinking", Processor: Qwen2VLImageProcessor },
];

/** A photograph and a drawn one, small; noise; a screenshot with small letters, large. */
const images = [
  "test/fixtures/images/files/photo.jpg",
  "test/fixtures/vision/images/square.png",
  "test/fixtures/images/files/odd.png",
  "notebooks/images/jupyterlab.png",
];
const home = join(import.meta.dirname, "../../..");
const fixtures = join(home, "test/fixtures");
const json = (...path: string[]): unknown => JSON.parse(readFileSync(join(fixtures, ...path), "utf8"));
const pathOf = (image: string): string => join(home, image);

/** transformers.js takes what a file leaves out as no, transformers as yes. */
const DEFAULTS = { do_convert_rgb: true, do_rescale: true, do_normalize: true, do_resize: true };

type Process = (images: RawImage[]) => Promise<{ pixel_values: { data: Float32Array; dims: number[] } }>;

interface RealSettings {
  readonly modelType: string;
  readonly config: object;
  readonly preprocessor: object;
  readonly processor: object;
}

const percent = (x: number): string => `${(100 * x).toFixed(x < 0.1 ? 1 : 0)} %`;

/** Largest and root mean square difference, as shares of the largest value. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): { largest: number; usual: number } {
  let [largest, squares, size] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    largest = Math.max(largest, d);
    squares += d * d;
    size = Math.max(size, Math.abs(b[i]));
  }
  return { largest: largest / size, usual: Math.sqrt(squares / a.length) / size };
}

async function pixelsOf(processor: Process, image: string, like: Tensor): Promise<Tensor> {
  const { data, dims } = (await processor([await RawImage.read(pathOf(image))])).pixel_values;
  if (data.length === like.data.length) return { data, shape: like.shape };
  throw new Error(`transformers.js makes ${dims.join("×")} of ${image}, and we ${like.shape.join("×")}.`);
}

const row = (...cells: string[]): void => console.log(`| ${cells.join(" | ")} |`);

row("settings of", "image", "pixels: rms", "pixels: most", "logits: most", "likeliest token");
row("---", "---", "---", "---", "---", "---");
for (const { real, Processor } of families) {
  const files = (json("images", "configs.json") as Record<string, RealSettings>)[real];
  const ours = imageProcessor(files.modelType, files);
  const theirs = new Processor({ ...DEFAULTS, ...files.preprocessor }) as unknown as Process;
  for (const image of images) {
    const own = ours.process(await decodeImage(pathOf(image))).pixels;
    const { usual, largest } = difference((await pixelsOf(theirs, image, own)).data, own.data);
    row(real, basename(image), percent(usual), percent(largest), "", "");
  }
}
for (const { tiny, Processor } of families) {
  const theirs = new Processor(
    json("vision", tiny, "preprocessor_config.json") as object,
  ) as unknown as Process;
  const model = await loadModel(join(fixtures, "vision", tiny), { threads: 1 });
  const golden = json("vision", tiny, "golden.json") as { cases: { image: { prompts: string[] } } };
  for (const image of images) {
    const batch = await model.prepare({ text: golden.cases.image.prompts[0], images: [pathOf(image)] });
    const [own] = batch.images!;
    const pixels = await pixelsOf(theirs, image, own.image.pixels);
    const other: Batch = { ...batch, images: [{ ...own, image: { ...own.image, pixels } }] };
    const logits = [batch, other].map(async (b) => (await model.run(b, { logits: "last" })).logits!.data);
    const [plain, changed] = await Promise.all(logits);
    const { usual, largest } = difference(pixels.data, own.image.pixels.data);
    const best = (values: Float32Array): number => values.indexOf(values.reduce((a, b) => Math.max(a, b)));
    const same = best(plain) === best(changed) ? "the same" : "another";
    row(
      tiny,
      basename(image),
      percent(usual),
      percent(largest),
      percent(difference(changed, plain).largest),
      same,
    );
  }
  await model.close();
}
