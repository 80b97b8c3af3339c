/**
 * Grids and large files on an S3 server that others have written, moto's:
 * `AWS_ENDPOINT_URL_S3=http://127.0.0.1:5000 … node dist/test/storage/check.js FOLDER`
 * @param FOLDER for the tables, which test_tables.py reads
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { localCopy, readObject, upload, writeObject } from "../../lib/storage/index.js";
import { command, notebookOf } from "../kernels/runner/support.js";

const [, , folder] = process.argv;
const { AWS_ENDPOINT_URL_S3: endpoint } = process.env;
assert.equal((await fetch(`${endpoint}/bucket`, { method: "PUT" })).ok, true, "the bucket is made");

// In parts: larger than one upload.
const large = join(folder, "large.bin");
writeFileSync(large, randomBytes(150_000_001));
await upload(large, "s3://bucket/files/large.bin");
const copy = await localCopy("s3://bucket/files");
assert.ok(readFileSync(large).equals(readFileSync(join(copy, "large.bin"))));
console.log("- 150 MB went up in parts and came back");

const cells = [
  { source: 'const n: number = 0;\nconst name: string = "";\nconst rate: number = 0;', tags: ["parameters"] },
  'if (n === 2) throw new Error("bad, \\"point\\"");\nconsole.log(n * n);',
];
await writeObject("s3://bucket/in.ipynb", Buffer.from(JSON.stringify(notebookOf(cells))));
const grid = 'n: [1, 2, 3]\nname: ["a,b é"]\nrate: [0.5]\n';
await writeObject("s3://bucket/grid.yaml", Buffer.from(grid));
const args = ["run", "s3://bucket/in.ipynb", "s3://bucket/runs", "--grid", "s3://bucket/grid.yaml"];
const { code, stderr } = await command(args, { cwd: folder });
assert.equal(code, 1, stderr);
const csv = String(await readObject("s3://bucket/runs/summary.csv"));
assert.match(csv, /^n,name,rate,status/);
assert.match(csv, /^2,"a,b é",0\.5,failed/m);
for (const name of ["summary.csv", "summary.parquet"])
  writeFileSync(join(folder, name), await readObject(`s3://bucket/runs/${name}`));
console.log("- a grid left its notebooks and tables there");
