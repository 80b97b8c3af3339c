import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { packageRoot } from "../../lib/package-root.js";

import ts = require("typescript");

const MOST = 5;
const root = packageRoot();
const FOLDERS = ["lib", "kernels", "data/train", "examples"];

/** Functions of a source with more than `MOST` parameters, as `line name (count)`. */
function long(text: string): string[] {
  const source = ts.createSourceFile("source.ts", text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && node.parameters.length > MOST) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${line + 1} ${node.name?.getText() ?? "function"} (${node.parameters.length})`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe("the sources", () => {
  for (const folder of FOLDERS)
    it(`of ${folder} have no function of more than ${MOST} parameters`, () => {
      const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).filter((f) =>
        /(?<!\.d)\.ts$/.test(f),
      );
      assert.ok(files.length > 5, "the sources are found");
      const found = files.flatMap((file) =>
        long(readFileSync(join(root, folder, file), "utf8")).map((one) => `${folder}/${file}:${one}`),
      );
      assert.deepEqual(found, []);
    });

  it("would be caught with one", () => {
    assert.deepEqual(long("const f = (a, b, c, d, e) => 1;\nfunction g(a, b, c, d, e, f) {}"), ["2 g (6)"]);
  });
});
