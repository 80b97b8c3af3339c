/**
 * Writes test/fixtures/tasks/rasters.json, the hashes of some images of each synthetic. To be run when images
 * are meant to change: `node dist/test/tasks/synthetic/write-rasters.js` after a build.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { drawTasks, rasterOf, SYNTHETIC_TASKS, type SyntheticTask } from "../../../lib/tasks/index.js";

/** SHA-256 over the pixels of forty held-out images of a synthetic. */
export function imagesHash(synthetic: SyntheticTask<unknown>, size: number): string {
  const hash = createHash("sha256");
  for (const task of drawTasks(synthetic, { count: 40, split: "heldout", seed: 7, size })) {
    hash.update(rasterOf(task).data);
  }
  return hash.digest("hex");
}

if (process.argv[1]?.endsWith("write-rasters.js")) {
  const hashes = Object.fromEntries(
    Object.values(SYNTHETIC_TASKS).map((synthetic) => [
      synthetic.name,
      Object.fromEntries([synthetic.minImageSize, 48, 64].map((size) => [size, imagesHash(synthetic, size)])),
    ]),
  );
  writeFileSync(
    new URL("../../../../test/fixtures/tasks/rasters.json", import.meta.url),
    `${JSON.stringify(hashes, null, 1)}\n`,
  );
}
