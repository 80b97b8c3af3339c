import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startJupyterKernel } from "../../../kernels/runner/kernels/jupyter-kernel.js";
import { temporaryFolder } from "../temporary.js";

const cli = fileURLToPath(new URL("../../../kernels/cli.js", import.meta.url));

test("install, list, start and uninstall, where the path has spaces", async () => {
  const prefix = temporaryFolder();
  const env = {
    ...process.env,
    JUPYTER_PATH: join(prefix, "share", "jupyter"),
    JUPYTER_DATA_DIR: join(prefix, "user"),
  };
  const modalscope = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [cli, "kernel", ...args], { env, encoding: "utf8" });

  assert.equal(modalscope("install", "--prefix", prefix, "--name", "ts-test").status, 0);
  const folder = join(prefix, "share", "jupyter", "kernels", "ts-test");
  const spec = JSON.parse(readFileSync(join(folder, "kernel.json"), "utf8"));
  assert.deepEqual([spec.language, spec.interrupt_mode], ["typescript", "message"]);
  assert.match(modalscope("list").stdout, /^ts-test\t.*ts-test\tok$/m);

  const kernel = await startJupyterKernel(spec, { cwd: prefix });
  assert.equal(kernel.languageInfo.name, "typescript");
  await kernel.close();

  // The package has moved away.
  spec.argv[2] = "/nowhere/main.js";
  writeFileSync(join(folder, "kernel.json"), JSON.stringify(spec));
  assert.match(modalscope("list").stdout, /broken: \/nowhere\/main.js is gone/);
  await assert.rejects(
    startJupyterKernel(spec, { cwd: prefix }),
    /did not start.*modalscope's kernel is not at \/nowhere/s,
  );

  assert.match(
    modalscope("uninstall", "--prefix", prefix, "--name", "ts-tset").stderr,
    /Did you mean "ts-test"/,
  );
  assert.equal(modalscope("uninstall", "--prefix", prefix, "--name", "ts-test").status, 0);
  assert.ok(!existsSync(folder));
  assert.equal(modalscope("install", "--user").status, 0);
  assert.ok(existsSync(join(prefix, "user", "kernels", "modalscope", "kernel.json")));
});
