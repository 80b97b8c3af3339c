/** A grid on Slurm whose notebook, outputs and table lie on an S3 server that others have written, moto's. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Notebook } from "../../lib/notebook/index.js";
import { readObject, writeObject } from "../../lib/storage/index.js";
import { command } from "../kernels/runner/support.js";
import { grid, load, log, prepare, until } from "./support.js";

const points = [1, 2, 6];

export async function remoteOutputs(): Promise<void> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const server = spawn("moto_server", ["-H", "127.0.0.1", "-p", new URL(url).port], { stdio: "ignore" });
  const failed = new Promise<never>((_, reject) => server.on("error", reject));
  try {
    await Promise.race([onServer(url), failed]);
  } finally {
    server.kill();
  }
}

async function onServer(url: string): Promise<void> {
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_S3: url,
    AWS_ACCESS_KEY_ID: "AKIATESTTESTTEST",
    AWS_SECRET_ACCESS_KEY: "secret-that-must-not-be-seen",
    AWS_REGION: "us-east-1",
  });
  let made = false;
  const ask = (): void =>
    void fetch(`${url}/bucket`, { method: "PUT" }).then(
      ({ ok }) => (made ||= ok),
      () => {},
    );
  await until("the bucket", () => {
    if (!made) ask();
    return made;
  });

  const folder = prepare("s3", points);
  await writeObject("s3://bucket/g.ipynb", readFileSync(join(folder, "g.ipynb")));
  const args = ["run", "s3://bucket/g.ipynb", "s3://bucket/runs", "--grid", "grid.yaml", "--engine", "slurm"];
  const first = await command(args, { cwd: folder });
  assert.equal(first.code, 1, first.stderr);
  const csv = String(await readObject("s3://bucket/runs/summary.csv"));
  assert.match(csv, /^1,failed,.*Error: bad point 1/m);
  assert.match(csv, /^6,completed,/m);

  writeFileSync(join(folder, "calm"), "");
  const second = await command(args, { cwd: folder });
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /2 tasks, 1 of the grid done earlier/);

  const local = await command(grid, { cwd: folder });
  assert.equal(local.code, 0, local.stderr);
  for (const point of points) {
    const remote = JSON.parse(
      String(await readObject(`s3://bucket/runs/g-point=${point}.ipynb`)),
    ) as Notebook;
    const cells = ({ cells }: Notebook): unknown => cells.map(({ source, outputs }) => ({ source, outputs }));
    assert.deepEqual(cells(remote), cells(load(folder, point)));
  }
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }))
    if (/\.(sbatch|json|yaml|log)$/.test(name))
      assert.ok(!readFileSync(join(folder, name), "utf8").includes("secret-that"), `a secret is in ${name}`);
  log("a grid whose outputs lie at s3:// left the same there as one without Slurm here, and no secret");
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    }),
  );
}
