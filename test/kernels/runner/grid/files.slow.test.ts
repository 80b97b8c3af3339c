/** A grid for other schedulers: its list, one of its runs, its table; files and exit codes alone. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { combinationIndex } from "../../../../kernels/runner/grid/gather.js";
import { writeTable } from "../../../../kernels/runner/grid/table-file.js";
import { temporaryFolder } from "../../temporary.js";
import { command, load, writeNotebook } from "../support.js";

const folder = temporaryFolder();

test("each run by itself, then the table, give what the grid gives", async () => {
  writeNotebook(join(folder, "g.ipynb"), [
    { source: "let seconds = 0;\nlet status: number | string = 0;", tags: ["parameters"] },
    "if (seconds === 2) throw new Error('two');\nseconds * 10",
  ]);
  writeFileSync(join(folder, "grid.yaml"), "seconds: [1, 2, 3]\nstatus: fine\n");
  const grid = (output: string, ...args: string[]) =>
    command(["run", "g.ipynb", output, "--grid", "grid.yaml", ...args], { cwd: folder });

  const listed = await grid("one", "--list");
  assert.equal(listed.code, 0, listed.stderr);
  assert.deepEqual(
    JSON.parse(listed.stdout),
    [1, 2, 3].map((seconds, index) => ({
      index,
      parameters: { seconds, status: "fine" },
      output: `one/g-seconds=${seconds}.ipynb`,
      status: "not run",
    })),
  );

  const early = await grid("one", "--gather");
  assert.equal(early.code, 1);
  const codes: (number | null)[] = [];
  for (const index of ["0", "1", "2"])
    codes.push((await grid("one", "--only", index, "--no-progress-bar")).code);
  assert.deepEqual(codes, [0, 1, 0]);
  const gathered = await grid("one", "--gather");
  assert.equal(gathered.code, 1, gathered.stderr);
  assert.match(gathered.stderr, /1 of 3 not completed/);
  const whole = await grid("all");
  assert.equal(whole.code, 1);
  // Times differ.
  const rows = (output: string): string[] =>
    readFileSync(join(folder, output, "summary.csv"), "utf8")
      .replace(/\d+\.\d{3}/g, "T")
      .split("\n");
  assert.deepEqual(rows("one"), rows("all"));
  assert.deepEqual(rows("one")[0], "parameters.seconds,parameters.status,status,seconds,cell,error,output");
  assert.deepEqual(
    load(join(folder, "one/g-seconds=3.ipynb")).cells.at(-1)?.outputs,
    load(join(folder, "all/g-seconds=3.ipynb")).cells.at(-1)?.outputs,
  );

  const again = await grid("one", "--only", "auto");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /not a task of an array.*SLURM_ARRAY_TASK_ID/);
  const auto = await command(["run", "g.ipynb", "one", "--grid", "grid.yaml", "--only", "auto"], {
    cwd: folder,
    env: { JOB_COMPLETION_INDEX: "2" },
  });
  assert.equal(auto.code, 0);
  assert.match(auto.stderr, /nothing to resume/);
  assert.match((await grid("one", "--only", "3")).stderr, /no combination 3.*It has 3, which count from 0/);
});

test("the number of a task is what its batch system says", () => {
  const index = (env: Record<string, string>) => combinationIndex("auto", 8, env);
  for (const name of [
    "SLURM_ARRAY_TASK_ID",
    "JOB_COMPLETION_INDEX",
    "PBS_ARRAY_INDEX",
    "AWS_BATCH_JOB_ARRAY_INDEX",
  ])
    assert.equal(index({ [name]: "7" }), 7);
  assert.equal(index({ SGE_TASK_ID: "1" }), 0);
  assert.equal(index({ LSB_JOBINDEX: "8" }), 7);
  assert.equal(index({ SGE_TASK_ID: "undefined", SLURM_ARRAY_TASK_ID: "3" }), 3);
  assert.throws(() => index({ SGE_TASK_ID: "undefined", LSB_JOBINDEX: "0" }), /not a task of an array/);
  assert.throws(() => index({ SLURM_ARRAY_TASK_ID: "8" }), /no combination 8 \(SLURM_ARRAY_TASK_ID\)/);
  for (const text of ["-1", "1.5", "x", "", "99", "1e1"])
    assert.throws(() => combinationIndex(text, 8, {}), /no combination/);
});

describe("the table with types", () => {
  const write = async (parameters: Record<string, never>[] | object[]) => {
    const path = join(folder, "typed", "summary.csv");
    mkdirSync(join(folder, "typed"), { recursive: true });
    await writeTable(
      path,
      parameters.map((one, i) => ({
        parameters: one as Record<string, number>,
        output: join(folder, "typed", `${i}.ipynb`),
        status: "completed" as const,
        reused: false,
        seconds: i + 0.5,
      })),
    );
    const bytes = readFileSync(join(folder, "typed", "summary.parquet"));
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
    const types = Object.fromEntries(
      parquetMetadata(file)
        .schema.slice(1)
        .map(({ name, type, converted_type }) => [name, converted_type ?? type]),
    );
    return { types, rows: await parquetReadObjects({ file }) };
  };

  test("is a data frame of danfo with its types", async () => {
    const { DataFrame } = createRequire(import.meta.url)("danfojs-node") as {
      DataFrame: new (rows: object[]) => { columns: string[]; ctypes: { values: string[] } };
    };
    const { rows } = await write([
      { whole: 1, decimal: 0.5, truth: true, text: "a" },
      { whole: 2, decimal: 1, truth: false, text: "b" },
    ]);
    const { columns, ctypes } = new DataFrame(rows);
    const types = Object.fromEntries(columns.map((name, i) => [name, ctypes.values[i]]));
    const { whole, decimal, truth, text, seconds } = types;
    assert.deepEqual(
      [whole, decimal, truth, text, seconds],
      ["int32", "float32", "boolean", "string", "float32"],
    );
  });

  test("keeps whole numbers, decimals, truth values and text as what they are", async () => {
    const { types, rows } = await write([
      {
        whole: 1,
        large: 2 ** 40,
        decimal: 0.5,
        truth: true,
        text: "a",
        list: [1, 2],
        mixed: 1,
        huge: 2n ** 70n,
      },
      { whole: -3, large: 1, decimal: 2, truth: false, text: 'b"', list: [], mixed: "x", huge: 1 },
    ]);
    assert.deepEqual(types, {
      whole: "INT32",
      large: "INT64",
      decimal: "DOUBLE",
      truth: "BOOLEAN",
      text: "UTF8",
      list: "UTF8",
      mixed: "UTF8",
      huge: "UTF8",
      status: "UTF8",
      seconds: "DOUBLE",
      cell: "UTF8",
      error: "UTF8",
      output: "UTF8",
    });
    const { status, seconds, cell, error, output, ...values } = rows[0];
    assert.deepEqual(values, {
      whole: 1,
      large: 2n ** 40n,
      decimal: 0.5,
      truth: true,
      text: "a",
      list: "[1,2]",
      mixed: "1",
      huge: String(2n ** 70n),
    });
    assert.deepEqual([status, seconds, cell, error, output], ["completed", 0.5, null, null, "0.ipynb"]);
  });

  test("has empty places where a run has no value, and a column of its own for a parameter named as one of its", async () => {
    const { types, rows } = await write([{ seconds: 1 }, { other: Number.NaN }]);
    assert.equal(types["parameters.seconds"], "INT32");
    assert.deepEqual(
      rows.map((row) => [row["parameters.seconds"], row.other, row.seconds]),
      [
        [1, null, 0.5],
        [null, Number.NaN, 1.5],
      ],
    );
  });
});
