import { checkBackEnds } from "./back-ends.js";
import type { Finding } from "./finding.js";
import { checkJupyter, checkKernels, checkSession } from "./jupyter.js";
import { checkCheckpoints, checkGpu, checkMemory, checkNode } from "./machine.js";

/** All that doctor looks at, group by group as it is known. */
export async function* examine(): AsyncGenerator<Finding[]> {
  yield [checkNode(), checkMemory(), checkGpu()];
  yield await checkBackEnds();
  yield checkCheckpoints();
  yield [await checkSession()];
  yield [checkJupyter(), ...checkKernels()];
}
