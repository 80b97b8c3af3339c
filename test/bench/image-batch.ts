/** Prompts with a photograph-sized image each, of random pixels and tokens. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Batch, padTokens } from "../../lib/model/batch/batch.js";
import { mropePositionIds } from "../../lib/model/batch/mrope.js";
import { imageProcessor } from "../../lib/model/images/index.js";
import type { Model } from "../../lib/model/model.js";
import { seeded } from "../../lib/random.js";

export interface ImagePrompts {
  readonly config: Readonly<Record<string, unknown>>;
  /** Whose processor files, of test/fixtures/images/configs.json. */
  readonly processor: string;
  /** Fields that its preprocessor_config.json says otherwise. */
  readonly preprocessor?: object;
  readonly rows: number;
  readonly imageSize: readonly [width: number, height: number];
  /** Half of them before the image, half after it. */
  readonly textTokens: number;
}

export function imageBatch(model: Model, given: ImagePrompts): Batch {
  const file = join(import.meta.dirname, "../../../test/fixtures/images/configs.json");
  const { config, rows, imageSize, textTokens } = given;
  const { [given.processor]: files } = JSON.parse(readFileSync(file, "utf8"));
  const random = seeded(2);
  const [width, height] = imageSize;
  const data = Uint8Array.from({ length: 3 * width * height }, () => 255 * random.uniform());
  const preprocessor = { ...files.preprocessor, ...given.preprocessor };
  const processor = imageProcessor(String(config.model_type), { preprocessor, config });
  const image = processor.process({ width, height, data });
  const token = model.config.vision_config!.image_token_id;
  const before = textTokens / 2;
  const text = (): number[] => Array.from({ length: before }, () => 5 + Math.floor(1000 * random.uniform()));
  const ids = Array.from({ length: rows }, () => [...text(), ...image.tokens.map(() => token), ...text()]);
  const batch = padTokens(ids);
  const columns = image.tokens.map((_, i) => before + i);
  const images = ids.map((_, row) => ({ row, image, positions: columns }));
  return {
    ...batch,
    images,
    visual: ids.map(() => columns),
    ...mropePositionIds(model.config, batch, images),
  };
}
