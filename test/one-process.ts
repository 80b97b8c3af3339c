/** Runs test files one after the other in this process, and tells its parent when each starts and ends: `one-process.js FILE…`. */
import { relative } from "node:path";
import { after, describe } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";

// Nothing is left to happen: node:test cancels the tests that still wait, and takes no more.
let over = false;
process.once("beforeExit", () => {
  over = true;
});

for (const file of process.argv.slice(2)) {
  process.send?.("started");
  await new Promise<void>((ended) => {
    describe(relative(import.meta.dirname, file), async () => {
      try {
        await import(pathToFileURL(file).href);
        after(() => ended());
      } catch (error) {
        ended();
        throw error;
      }
    });
  });
  // Its report goes out before the next file can end the process.
  await delay(5);
  process.send?.("ended");
  if (over) break;
}
