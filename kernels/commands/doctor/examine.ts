import { findJupyterLab } from "../lab.js";
import { checkBackEnds } from "./back-ends.js";
import type { Check } from "./check.js";
import { checkJupyter, checkKernels, checkSession } from "./jupyter.js";
import { checkCheckpoints, checkGpu, checkMemory, checkNode } from "./machine.js";

/** All checks of doctor, in groups, as their results come. */
export async function* examine(): AsyncGenerator<Check[]> {
  yield [checkNode(), checkMemory(), checkGpu()];
  yield await checkBackEnds();
  yield checkCheckpoints();
  yield [await checkSession()];
  yield [checkJupyter(findJupyterLab()), ...checkKernels()];
}
