/** Runs whose notebooks lie elsewhere: s3:// and https://. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parquetReadObjects } from "hyparquet";
import { commonFolder, outputPaths } from "../../../kernels/runner/grid/paths.js";
import type { Notebook } from "../../../kernels/runner/index.js";
import { says } from "../../refusals.js";
import { ACCESS_KEY, SECRET_KEY, startServer } from "../../storage/server.js";
import { type CommandOptions, command, type Ended, installStub, notebookOf, textOf } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "modalscope-remote-"));
after(() => rmSync(folder, { recursive: true }));
const server = await startServer();
const env = {
  ...server.env,
  ...installStub(folder),
  MODALSCOPE_CACHE: join(folder, "cache"),
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
};
const printed: string[] = [];
/** Whatever was left on the server. */
const left: string[] = [];
beforeEach(() => {
  for (const content of server.objects.values()) left.push(content.toString("latin1"));
  server.objects.clear();
  server.faults.length = 0;
  server.plain = false;
});

async function run(args: readonly string[], options: Partial<CommandOptions> = {}): Promise<Ended> {
  const ended = await command(["run", ...args], { cwd: folder, env, ...options });
  printed.push(ended.stdout, ended.stderr);
  return ended;
}

const put = (key: string, value: unknown): void =>
  void server.objects.set(key, Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
const load = (key: string): Notebook => JSON.parse(String(server.objects.get(key))) as Notebook;
const shows = notebookOf([{ source: "n = 2", tags: ["parameters"] }, "show n"], "stub");

describe("a run by s3", () => {
  it("reads its notebook and its parameters there, and writes its output there", async () => {
    put("b/in.ipynb", shows);
    put("b/p.yaml", "n: 7");
    const { code, stderr } = await run(["s3://b/in.ipynb", "s3://b/out/{n}.ipynb", "-f", "s3://b/p.yaml"]);
    assert.equal(code, 0, stderr);
    const out = load("b/out/7.ipynb");
    assert.ok(out.cells.some((cell) => textOf(cell) === "7\n"));
    assert.deepEqual(
      [
        out.metadata.papermill?.input_path,
        out.metadata.papermill?.output_path,
        out.metadata.papermill?.status,
      ],
      ["s3://b/in.ipynb", "s3://b/out/7.ipynb", "completed"],
    );
    const again = await run(["s3://b/in.ipynb", "s3://b/out/7.ipynb", "-p", "n", "7", "--resume"]);
    assert.match(again.stderr, /s3:\/\/b\/out\/7\.ipynb is completed; there is nothing to resume/);
  });

  it("runs nothing where the output may not be written, and says so", async () => {
    put("b/in.ipynb", shows);
    server.faults.push({ kind: 403, times: 9, matches: /^PUT/ });
    const { code, stderr } = await run(["s3://b/in.ipynb", "s3://b/out.ipynb", "--log-output"]);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot write s3:\/\/b\/out\.ipynb\. The AWS credentials do not allow it/);
    assert.doesNotMatch(stderr, /2\n/);
  });

  it("that is killed leaves a whole notebook, with what was done", async () => {
    put("b/in.ipynb", notebookOf(["print done", "stuck"], "stub"));
    const begun = run(["s3://b/in.ipynb", "s3://b/out.ipynb", "--autosave-cell-every", "0.2"], {
      onStart: (child) =>
        void (async () => {
          const printed = (): boolean =>
            server.objects.has("b/out.ipynb") && textOf(load("b/out.ipynb").cells[0]) === "done\n";
          while (child.exitCode === null && !printed()) await delay(50);
          // In the middle of an upload.
          server.faults.push({ kind: "drop", times: 1, matches: /^PUT/ });
          child.kill("SIGKILL");
        })(),
    });
    assert.equal((await begun).signal, "SIGKILL");
    const out = load("b/out.ipynb");
    assert.equal(out.metadata.papermill?.status, "running");
    assert.equal(textOf(out.cells[0]), "done\n");
  });

  it("whose last upload fails keeps the notebook on this machine", async () => {
    put("b/in.ipynb", notebookOf(["print work"], "stub"));
    const begun = run(["s3://b/in.ipynb", "s3://b/kept.ipynb"], {
      onStart: (child) =>
        void (async () => {
          while (child.exitCode === null && !server.objects.has("b/kept.ipynb")) await delay(20);
          server.faults.push({ kind: 403, times: 99, matches: /^PUT/ });
        })(),
    });
    const { code, stderr } = await begun;
    assert.equal(code, 1);
    assert.match(stderr, /The executed notebook is in .*kept\.ipynb instead/);
    const kept = JSON.parse(readFileSync(join(folder, "kept.ipynb"), "utf8")) as Notebook;
    assert.equal(textOf(kept.cells[0]), "work\n");
  });

  it("says what is wrong: no such notebook, a wrong key, no credentials", async () => {
    const of = async (more: NodeJS.ProcessEnv): Promise<string> =>
      (await run(["s3://b/none.ipynb", "-"], { env: { ...env, ...more } })).stderr;
    assert.match(await of({}), /Cannot read s3:\/\/b\/none\.ipynb\. There is no such object/);
    assert.match(
      await of({ AWS_SECRET_ACCESS_KEY: "other" }),
      /not valid \(SignatureDoesNotMatch\)\. Renew them/,
    );
    assert.match(await of({ AWS_ACCESS_KEY_ID: "AKIAOTHER" }), /not valid \(InvalidAccessKeyId\)/);
    assert.match(
      await of({ AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" }),
      /There are no AWS credentials/,
    );
  });
});

it("a run by a signed URL has no signature in its notebook", async () => {
  server.plain = true;
  put("in.ipynb", shows);
  const [input, output] = ["in", "out"].map(
    (name) => `${server.url}/${name}.ipynb?X-Amz-Signature=${SECRET_KEY}`,
  );
  const { code, stderr } = await run([input, output, "-p", "n", "3"]);
  assert.equal(code, 0, stderr);
  assert.match(String(server.objects.get("out.ipynb")), /3\\n/);
});

describe("a grid by s3", () => {
  it("leaves its notebooks and tables there, and runs what is missing", async () => {
    put("b/in.ipynb", shows);
    put("b/grid.yaml", "n: [1, 2, 3]");
    const grid = ["s3://b/in.ipynb", "s3://b/runs", "--grid", "s3://b/grid.yaml"];
    const first = await run(grid);
    assert.equal(first.code, 0, first.stderr);
    assert.match(
      first.stderr,
      /The tables are in s3:\/\/b\/runs\/summary\.csv and s3:\/\/b\/runs\/summary\.parquet/,
    );
    const lines = String(server.objects.get("b/runs/summary.csv")).split("\n");
    assert.match(lines[2], /^2,completed,[\d.]+,,,in-n=2\.ipynb$/);
    const bytes = new Uint8Array(server.objects.get("b/runs/summary.parquet") as Buffer);
    const table = await parquetReadObjects({ file: bytes.buffer });
    assert.deepEqual(
      table.map(({ n, status }) => [n, status]),
      [1, 2, 3].map((n) => [n, "completed"]),
    );
    server.objects.delete("b/runs/in-n=2.ipynb");
    const listed = JSON.parse((await run([...grid, "--list"])).stdout) as {
      status: string;
      output: string;
    }[];
    assert.deepEqual(
      listed.map(({ status }) => status),
      ["completed", "not run", "completed"],
    );
    assert.equal(listed[1].output, "s3://b/runs/in-n=2.ipynb");
    assert.equal((await run([...grid, "--only", "1"])).code, 0);
    const gathered = await run([...grid, "--gather"]);
    assert.equal(gathered.code, 0, gathered.stderr);
  });

  it("has one folder in common, or asks where the table goes", () => {
    assert.deepEqual(outputPaths("s3://b/o", "x/in.ipynb", [{ n: 1 }, { n: 2 }]), [
      "s3://b/o/in-n=1.ipynb",
      "s3://b/o/in-n=2.ipynb",
    ]);
    assert.equal(commonFolder(["s3://b/o/1/x", "s3://b/o/2/x"]), "s3://b/o");
    assert.equal(commonFolder(["s3://b/x"]), "s3://b");
    for (const paths of [
      ["s3://b/x", "s3://c/x"],
      ["s3://b/x", "y"],
    ])
      assert.throws(() => commonFolder(paths), says(/--summary/));
  });
});

it("a report is made of notebooks there, and goes there", async () => {
  put("b/in.ipynb", shows);
  const { code, stdout, stderr } = await command(["report", "s3://b/in.ipynb", "-o", "s3://b/page"], {
    cwd: folder,
    env,
  });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "s3://b/page/index.html\n");
  assert.match(String(server.objects.get("b/page/index.html")), /<html/);
});

it("no credentials are in anything that was written or printed", () => {
  const seen = new Map<string, string>([
    ["what was printed", printed.join("\n")],
    ["an object", left.join("\n")],
  ]);
  const visit = (path: string): void => {
    if (!statSync(path).isDirectory()) seen.set(path, readFileSync(path, "latin1"));
    else for (const name of readdirSync(path)) visit(join(path, name));
  };
  visit(folder);
  assert.ok(existsSync(join(folder, "cache")) && printed.length > 8, "there is something to look at");
  for (const [where, content] of seen)
    for (const secret of [SECRET_KEY, ACCESS_KEY, "X-Amz-Signature", "AWS4-HMAC"])
      assert.ok(!content.includes(secret), `${secret} is in ${where}`);
});
