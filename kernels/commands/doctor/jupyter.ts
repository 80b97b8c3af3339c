import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listKernels } from "../../protocol/index.js";
import { openSession } from "../../typescript/index.js";
import { labAdvice } from "../lab.js";
import { type Check, firstLine } from "./check.js";

export function checkJupyter(lab: string | undefined): Check {
  return lab === undefined
    ? { about: "JupyterLab", state: "absent", detail: "not found", fix: labAdvice }
    : { about: "JupyterLab", state: "ok", detail: lab };
}

/** Checks the kernels that Jupyter finds. */
export function checkKernels(): Check[] {
  const kernels = listKernels();
  const checks: Check[] = kernels.map(({ name, folder, state }) =>
    state === "ok"
      ? { about: `kernel ${name}`, state, detail: folder }
      : {
          about: `kernel ${name}`,
          state: "broken",
          detail: `${folder}: ${state}`,
          fix: `npx modalscope kernel install --name ${name}, or uninstall it.`,
        },
  );
  if (kernels.some(({ ours }) => ours)) return checks;
  const fix = "For notebooks in Jupyter or VS Code: npx modalscope kernel install";
  return [
    ...checks,
    { about: "modalscope's kernel", state: "absent", detail: "not installed in Jupyter", fix },
  ];
}

/** Runs a cell in a session. */
export async function checkSession(): Promise<Check> {
  const about = "a TypeScript cell";
  const folder = mkdtempSync(join(tmpdir(), "modalscope-doctor-"));
  const begin = performance.now();
  const session = openSession({ folder });
  try {
    let shown = "";
    const { error } = await session.execute("const six: number = 6;\nsix * 7", {
      count: 1,
      onOutput: (output) => {
        if (output.type === "execute_result") shown = String(output.content.data["text/plain"]);
      },
    });
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    if (error === undefined && shown === "42")
      return { about, state: "ok", detail: `runs, ${seconds} s after the start` };
    return { about, state: "broken", detail: error?.evalue ?? `6 * 7 came out as ${shown}`, fix: reinstall };
  } catch (error) {
    return { about, state: "broken", detail: firstLine(error), fix: reinstall };
  } finally {
    await session.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const reinstall = "Install the package again: npm ci && npm run build.";
