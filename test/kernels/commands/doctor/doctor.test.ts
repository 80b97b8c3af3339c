import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Check } from "../../../../kernels/commands/doctor/check.js";
import { checkJupyter } from "../../../../kernels/commands/doctor/jupyter.js";
import { compareVersions } from "../../../../kernels/commands/doctor/machine.js";
import { findJupyterLab, openLab } from "../../../../kernels/commands/lab.js";
import { cacheFolder } from "../../../../lib/cache-folder.js";
import { temporaryFolder } from "../../temporary.js";

const cli = fileURLToPath(new URL("../../../../kernels/cli.js", import.meta.url));

/** Without the compiler's snapshot each cell would first read TypeScript's declarations. */
function shareSnapshot(cache: string): void {
  const [made, here] = [join(cacheFolder(), "kernel"), join(cache, "kernel")];
  if (!existsSync(made) || existsSync(here)) return;
  mkdirSync(cache, { recursive: true });
  symlinkSync(made, here);
}

/** The command on a machine that has Node, a shell, and what is put into `home`, with a Python environment in `env`. */
function modalscope(
  home: string,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  shareSnapshot(join(home, "cache"));
  const env = {
    HOME: home,
    VIRTUAL_ENV: join(home, "env"),
    PATH: [join(home, "bin"), dirname(process.execPath), "/usr/bin", "/bin"].join(":"),
    JUPYTER_PATH: join(home, "jupyter"),
    MODALSCOPE_CACHE: join(home, "cache"),
  };
  return spawnSync(process.execPath, [cli, ...args], { env, cwd: home, encoding: "utf8" });
}

test("doctor says what works, what is absent and what to do; a broken kernel makes it fail", () => {
  const home = temporaryFolder({
    "env/bin/jupyter-lab": "",
    "jupyter/kernels/moved/kernel.json": JSON.stringify({
      argv: [process.execPath, "launch.mjs", "/nowhere/main.js", "{connection_file}"],
    }),
  });
  const checks = (): Map<string, Check> => {
    const { status, stdout } = modalscope(home, "doctor", "--json");
    const list = JSON.parse(stdout) as Check[];
    assert.equal(status, list.some(({ state }) => state === "broken") ? 1 : 0, stdout);
    return new Map(list.map((check) => [check.about, check]));
  };
  const whole = checks();
  for (const needed of [
    "Node",
    "onnxruntime on the CPU",
    "learning on tfjs",
    "checkpoint maths-zh-en",
    "a TypeScript cell",
  ])
    assert.equal(whole.get(needed)?.state, "ok", needed);
  const lab = { about: "JupyterLab", state: "ok", detail: join(home, "env/bin/jupyter-lab") };
  assert.deepEqual(whole.get("JupyterLab"), lab);
  // CUDA's libraries are not in the package: it is told why it does not load, and what to do.
  const cuda = whole.get("onnxruntime on CUDA");
  if (cuda?.state === "absent") assert.match(`${cuda.detail} ${cuda.fix}`, /cuda.*npm rebuild/is);
  assert.match(whole.get("modalscope's kernel")?.fix ?? "", /kernel install/);

  // Only a kernel of ours can be known to be broken.
  writeFileSync(join(home, "jupyter/kernels/moved/launch.mjs"), "");
  const moved = checks().get("kernel moved");
  assert.equal(moved?.state, "broken");
  assert.match(moved?.detail ?? "", /\/nowhere\/main\.js is gone/);
});

test("versions are compared by their numbers", () => {
  assert.ok(compareVersions("20.9.0", "20.19") < 0);
  assert.ok(compareVersions("24.0.0", "20.19") > 0);
  assert.equal(compareVersions("20.19.0", "20.19"), 0);
});

test("lab opens JupyterLab on the notebooks with the kernel there, and passes on its exit code", () => {
  const home = temporaryFolder({
    "env/bin/jupyter-lab": `#!/bin/sh\necho "$@"\ncat "\${JUPYTER_PATH%%:*}/kernels/modalscope/kernel.json"\nexit 3\n`,
  });
  chmodSync(join(home, "env/bin/jupyter-lab"), 0o755);
  const { status, stdout } = modalscope(home, "lab", "--", "--no-browser", "--port=9999");
  assert.equal(status, 3);
  assert.match(stdout, /^--notebook-dir=.*notebooks --no-browser --port=9999$/m);
  const spec = JSON.parse(stdout.slice(stdout.indexOf("{"))) as { argv: string[]; language: string };
  assert.equal(spec.language, "typescript");
  assert.match(readFileSync(spec.argv[1], "utf8"), /modalscope kernel install/);
});

test("JupyterLab is looked for in the active environment, in .venv folders, then on PATH", () => {
  const names = ["active", "conda", "here/.venv", "package/.venv"].map((name) => `${name}/bin/jupyter-lab`);
  const home = temporaryFolder(Object.fromEntries([...names, "path/jupyter-lab"].map((name) => [name, ""])));
  const env = {
    VIRTUAL_ENV: join(home, "active"),
    CONDA_PREFIX: join(home, "conda"),
    PATH: [join(home, "nothing"), join(home, "path")].join(":"),
  };
  const roots = ["here", "package"].map((name) => join(home, name));
  for (const name of [...names, "path/jupyter-lab"]) {
    assert.equal(findJupyterLab(env, roots), join(home, name));
    rmSync(join(home, name));
  }
  assert.equal(findJupyterLab(env, roots), undefined);
  assert.equal(findJupyterLab({}, roots), undefined);
});

test("without JupyterLab, lab and doctor say how to get it", async () => {
  const { state, fix } = checkJupyter(undefined);
  assert.equal(state, "absent");
  assert.match(fix ?? "", /pip install jupyterlab/);
  await assert.rejects(openLab(undefined, ".", []), /JupyterLab is not installed.*pip install jupyterlab/s);
});
