import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { packageRoot } from "../../../lib/package-root.js";
import { display } from "./display.js";

/** Lets notebooks written for tslab show things: its `display` ends in this kernel's. */
export async function connectTslab(): Promise<void> {
  const from = createRequire(join(packageRoot(), "package.json"));
  const inside = dirname(from.resolve("tslab"));
  if (!existsSync(join(inside, "jupyter.js"))) return;
  const jupyter = from(join(inside, "jupyter.js")) as { lastWriteDisplayData: unknown };
  jupyter.lastWriteDisplayData = (
    { data, transient }: { data: Record<string, unknown>; transient: { display_id?: string } },
    update: boolean,
  ): void => {
    if (update && transient.display_id !== undefined) display.update(transient.display_id, data);
    else display.display(data, { displayId: transient.display_id });
  };
}
