/**
 * Writes test/fixtures/tasks/rasters.json, the hashes of some pictures of each world. To be run when pictures are meant to
 * change: `node dist/test/tasks/synthetic/write-rasters.js` after a build.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { drawTasks, rasterOf, WORLDS, type World } from "../../../lib/tasks/index.js";

/** SHA-256 over the pixels of forty held-out pictures of a world. */
export function picturesHash(world: World<unknown>, size: number): string {
  const hash = createHash("sha256");
  for (const task of drawTasks(world, { count: 40, split: "heldout", seed: 7, size })) {
    hash.update(rasterOf(task).data);
  }
  return hash.digest("hex");
}

if (process.argv[1]?.endsWith("write-rasters.js")) {
  const hashes = Object.fromEntries(
    Object.values(WORLDS).map((world) => [
      world.name,
      Object.fromEntries([world.least, 48, 64].map((size) => [size, picturesHash(world, size)])),
    ]),
  );
  writeFileSync(
    new URL("../../../../test/fixtures/tasks/rasters.json", import.meta.url),
    `${JSON.stringify(hashes, null, 1)}\n`,
  );
}
