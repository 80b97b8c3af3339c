import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ModalscopeError } from "../../lib/errors.js";
import { openOnnx } from "../../lib/onnx/index.js";
import { bytesOrigin } from "../../lib/onnx/source.js";
import { patch, scanOrigin } from "../../lib/onnx/splice-graph.js";
import { statedTypes } from "../../lib/onnx/types.js";
import { seeded } from "../../lib/random.js";
import { rounds } from "../rounds.js";
import { fixture, float, modelBytes, node, onnx, weight } from "./fixtures.js";

const work = mkdtempSync(join(tmpdir(), "onnx-hostile-"));
after(() => rmSync(work, { recursive: true }));

/** Writes a file and gives its path. */
function file(name: string, bytes: Uint8Array | string): string {
  const path = join(work, name);
  writeFileSync(path, bytes);
  return path;
}

async function refuses(source: string | Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(openOnnx(source, { threads: 1 }), { name: "ModalscopeError", message });
}

const relu = [node("Relu", ["x"], ["y"])];
const plain = { input: [float("x", 2)], output: [float("y", 2)] };

describe("what is no ONNX file", () => {
  it("is said to be missing, a folder, empty, or of another format", async () => {
    await refuses(join(work, "nothing.onnx"), /There is no file/);
    await refuses(work, /is not a file/);
    await refuses(file("empty.onnx", ""), /empty: get it again/);
    await refuses(
      file("lfs.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
      /git lfs pull/,
    );
    await refuses(file("page.onnx", "<!DOCTYPE html><title>Not found</title>"), /text file/);
    await refuses(
      file("checkpoint.onnx", Buffer.from("PK\x03\x04\x14\x00\x00\x00archive", "latin1")),
      /zip archive/,
    );
    await refuses(
      file("runtime.onnx", Buffer.from("\x18\x00\x00\x00ORTM\x00\x00", "latin1")),
      /\.ort format/,
    );
  });

  it("garbage and other protobuf", async () => {
    const random = seeded(1);
    for (let i = 0; i < 50; i++) {
      await refuses(
        Uint8Array.from({ length: 200 }, () => random.int(256)),
        /not an ONNX model/,
      );
    }
    const tensor = onnx.TensorProto.encode({ name: "t", dims: [2], dataType: 1, floatData: [1, 2] }).finish();
    await refuses(tensor, /not an ONNX model/);
    await refuses(fixture("vision.safetensors"), /not an ONNX model/);
  });

  it("a file cut short anywhere", async () => {
    const whole = readFileSync(fixture("types.onnx"));
    for (let length = 0; length < whole.length; length++) {
      await refuses(whole.subarray(0, length), /not an ONNX model/);
    }
  });
});

describe("broken graphs", () => {
  it("no nodes, names twice, undefined names, cycles", async () => {
    await refuses(modelBytes({ ...plain, node: [] }), /no nodes/);
    const twice = [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])];
    await refuses(modelBytes({ ...plain, node: twice }), /defines the tensor "y" twice/);
    await refuses(modelBytes({ ...plain, node: [node("Relu", ["x"], ["x"]), ...relu] }), /"x" twice/);
    const weights = [weight("w", [1, 2]), weight("w", [3, 4])];
    await refuses(modelBytes({ ...plain, node: relu, initializer: weights }), /"w" twice/);
    await refuses(
      modelBytes({ ...plain, node: [node("Add", ["x", "hiden"], ["y"]), node("Neg", ["x"], ["hidden"])] }),
      /does not define: "hiden".*Did you mean "hidden"/,
    );
    await refuses(
      modelBytes({ ...plain, node: relu, output: [float("z")] }),
      /does not define: "z", in the graph's outputs/,
    );
    const circle = [node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"], { name: "back" }), ...relu];
    await refuses(modelBytes({ ...plain, node: circle }), /has a cycle.*2 of 3 nodes wait/);
    const inner = { name: "g", node: [node("Neg", ["y"], ["i"])], output: [float("i")] };
    const through = [node("If", ["x"], ["y"], { attribute: [{ name: "then_branch", type: 5, g: inner }] })];
    await refuses(modelBytes({ ...plain, node: through }), /has a cycle/);
  });

  it("functions that do not fit their calls or themselves", async () => {
    const broken = (call: object, body: object, more: object = {}): Uint8Array => {
      const own = { name: "Own", domain: "mine", opsetImport: [{ domain: "", version: 17 }], ...more };
      const opsetImport = [...own.opsetImport, { domain: "mine", version: 1 }];
      const graph = { ...plain, node: [{ ...call, domain: "mine" }] };
      return modelBytes(graph, { opsetImport, functions: [{ ...own, node: [body] }] });
    };
    const io = { input: ["a"], output: ["b"] };
    const neg = node("Neg", ["a"], ["b"]);
    await refuses(
      broken(node("Own", ["x", "x"], ["y"]), neg, io),
      /calls its function "mine.Own" with more than it takes/,
    );
    await refuses(broken(node("Own", ["x"], ["y"]), neg), /with more than it takes/);
    await refuses(
      broken(node("Own", ["x"], ["y"]), node("Neg", ["c"], ["b"]), io),
      /uses what it does not have: "c"/,
    );
    await refuses(
      broken(node("Own", ["x"], ["y"]), node("Neg", ["a"], ["c"]), io),
      /uses what it does not have: "b"/,
    );
  });

  it("an operator or an opset that is missing", async () => {
    await refuses(modelBytes({ ...plain, node: [node("", ["x"], ["y"])] }), /a node without an operator/);
    await refuses(modelBytes({ ...plain, node: relu }, { opsetImport: [] }), /no set of operators/);
    await refuses(
      modelBytes({ ...plain, node: [node("Rleu", ["x"], ["y"])] }),
      /onnxruntime could not open the model/,
    );
  });

  it("graphs nested beyond reason", async () => {
    let graph: object = { name: "g", node: [node("Neg", ["x"], ["i"])], output: [float("i")] };
    for (let depth = 0; depth < 40; depth++) {
      const attribute = [{ name: "then_branch", type: 5, g: graph }];
      graph = {
        name: "g",
        node: [node("If", ["x"], [`i${depth}`], { attribute })],
        output: [float(`i${depth}`)],
      };
    }
    const bytes = modelBytes({ ...plain, node: [...(graph as { node: object[] }).node, ...relu] });
    await refuses(bytes, /nested more than 32 deep/);
  });
});

describe("weights that claim too much, before memory is taken", () => {
  const withWeight = (tensor: object): Uint8Array =>
    modelBytes({ ...plain, node: relu, initializer: [tensor] });
  const huge = 2 ** 40;
  const refused: [string, object, RegExp][] = [
    [
      "more than they hold",
      { ...weight("w", [1, 2]), dims: [huge] },
      /"w" has 8 bytes where its shape \(1099511627776\) needs/,
    ],
    ["a negative size", { ...weight("w", [1, 2]), dims: [-2] }, /impossible shape \(-2\)/],
    ["a product beyond counting", { ...weight("w", [1]), dims: [huge, huge] }, /impossible shape/],
    ["too few numbers", { name: "w", dims: [huge], dataType: 1, floatData: [1] }, /too few values/],
    ["no numbers at all", { name: "w", dims: [huge], dataType: 1 }, /too few values/],
    ["too many dimensions", { ...weight("w", [1]), dims: new Array(100).fill(1) }, /more than 64 dimensions/],
    ["a type that is none", { ...weight("w", [1]), dataType: 99 }, /element type 99/],
  ];
  for (const [what, tensor, message] of refused) it(what, () => refuses(withWeight(tensor), message));

  it("a sparse tensor of 4 TB", () => {
    const indices = { name: "i", dims: [1], dataType: 7, rawData: new Uint8Array(8) };
    const sparse = { values: weight("w", [1]), indices, dims: [huge] };
    return refuses(modelBytes({ ...plain, node: relu, sparseInitializer: [sparse] }), /over 2 GB when dense/);
  });

  it("a constant inside of a node", () => {
    const attribute = [{ name: "value", type: 4, t: { ...weight("", [1, 2]), dims: [huge] } }];
    return refuses(
      modelBytes({ ...plain, node: [node("Constant", [], ["c"], { attribute }), ...relu] }),
      /a constant has 8 bytes/,
    );
  });

  it("a length that runs past the end", async () => {
    const bytes = modelBytes({ ...plain, node: relu, initializer: [weight("w", [1, 2])] });
    const at = Buffer.from(bytes).indexOf(Buffer.from([0x4a, 0x08])); // raw_data, 8 bytes
    const long = Uint8Array.from(bytes);
    long[at + 1] = 0x7f;
    await refuses(long, /says it is 127 bytes long where \d+ are left/);
  });
});

describe("side files", () => {
  const external = (entries: Record<string, string>): Uint8Array =>
    modelBytes({
      ...plain,
      node: [node("Add", ["x", "w"], ["y"])],
      initializer: [
        {
          name: "w",
          dims: [2],
          dataType: 1,
          dataLocation: 1,
          externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
        },
      ],
    });
  const folder = join(work, "model");
  mkdirSync(join(folder, "sub"), { recursive: true });
  writeFileSync(join(work, "secret.bin"), Buffer.alloc(64));
  writeFileSync(join(folder, "w.bin"), Buffer.from(Float32Array.of(1, 2).buffer));
  symlinkSync(join(work, "secret.bin"), join(folder, "link.bin"));
  symlinkSync(work, join(folder, "up"));
  const refused: [string, Record<string, string>, RegExp][] = [
    ["missing", { location: "none.bin" }, /"none.bin".*is missing.*It is not in/s],
    ["a folder", { location: "sub" }, /"sub".*is missing/s],
    ["above", { location: "../secret.bin" }, /outside of its folder: "\.\.\/secret\.bin"/],
    ["above and missing", { location: "../none.bin" }, /outside of its folder/],
    ["above by a detour", { location: "sub/../../secret.bin" }, /outside of its folder/],
    ["absolute", { location: join(work, "secret.bin") }, /outside of its folder/],
    ["absolute on Windows", { location: "C:\\secret.bin" }, /outside of its folder/],
    ["behind a link to a file", { location: "link.bin" }, /outside of its folder/],
    ["behind a link to a folder", { location: "up/secret.bin" }, /outside of its folder/],
    ["with a NUL", { location: "w.bin\0" }, /outside of its folder/],
    ["without a location", { offset: "0" }, /does not say where/],
    ["too short", { location: "w.bin", offset: "4" }, /is too short.*bytes 4 to 12, and the file has 8/],
    ["a negative offset", { location: "w.bin", offset: "-4" }, /offset -4/],
    ["an offset beyond counting", { location: "w.bin", offset: "99999999999999999999" }, /offset 9+/],
    ["an offset in another notation", { location: "w.bin", offset: "1e1" }, /offset 1e1/],
    ["another length", { location: "w.bin", length: "4" }, /4 bytes where its shape needs 8/],
  ];
  for (const [what, entries, message] of refused) {
    it(what, () => {
      const path = join(folder, "model.onnx");
      writeFileSync(path, external(entries));
      return refuses(path, message);
    });
  }

  it("one that is cut short", async () => {
    cpSync(fixture("external"), join(work, "cut"), { recursive: true });
    truncateSync(join(work, "cut", "weights", "vision.bin"), 80_000);
    await refuses(join(work, "cut", "vision.onnx"), /is too short/);
  });

  it("a model that changes while it is open", async () => {
    cpSync(fixture("control.onnx"), join(work, "changing.onnx"));
    const model = await openOnnx(join(work, "changing.onnx"), { threads: 1 });
    truncateSync(join(work, "changing.onnx"), 100);
    const feeds = {
      x: { shape: [4], data: new Float32Array(4) },
      flag: { shape: [], data: Uint8Array.of(1) },
      rows: { shape: [2, 4], data: new Float32Array(8) },
    };
    await assert.rejects(model.run(feeds), /has changed since it was opened/);
    await model.close();
  });
});

describe("mutants", () => {
  const count = rounds(1500, 12_000);
  it(`of four files are read and rewritten, or refused: ${count} of them, in bounded memory`, () => {
    const random = seeded(3);
    const bases = ["control.onnx", "types.onnx", "iris.onnx", "external/vision.onnx"].map((name) =>
      readFileSync(fixture(...name.split("/"))),
    );
    const before = process.memoryUsage().rss;
    let accepted = 0;
    for (let i = 0; i < count; i++) {
      const mutant = mutated(bases[i % bases.length], random);
      try {
        const scanned = scanOrigin(bytesOrigin(mutant, fixture("external")));
        const types = statedTypes(scanned);
        const names = new Set(scanned.definitions.keys());
        const nodes = [...names].filter((name) => scanned.definitions.get(name)?.kind === "node");
        const outputs = new Set(scanned.model.graph.outputs.map(({ name }) => name.name));
        const { bytes } = patch(scanned, types, {
          outputs,
          captured: new Set(nodes),
          fed: new Set(),
          edited: new Set(),
        });
        // What is written can be read again, and still defines every name.
        const again = scanOrigin(bytesOrigin(bytes, fixture("external")));
        for (const name of names) assert.ok(again.definitions.has(name), name);
        accepted++;
      } catch (error) {
        if (!(error instanceof ModalscopeError)) throw error;
      }
    }
    // Mutations of names and numbers leave a model; most others do not.
    assert.ok(accepted > count / 12 && accepted < (11 * count) / 12, `${accepted} accepted`);
    const grown = (process.memoryUsage().rss - before) / 2 ** 20;
    assert.ok(grown < 400, `memory grew by ${grown} MB`);
  });
});

/** One to four changes: a bit, a byte, a stretch dropped, repeated or overwritten, or the end cut off. */
function mutated(base: Uint8Array, random: ReturnType<typeof seeded>): Uint8Array {
  let bytes = Buffer.from(base);
  for (let n = 1 + random.int(4); n > 0 && bytes.length > 8; n--) {
    const at = random.int(bytes.length);
    const length = 1 + random.int(16);
    const kind = random.int(6);
    if (kind === 0) bytes[at] ^= 1 << random.int(8);
    else if (kind === 1) bytes[at] = random.int(256);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    else if (kind === 4) bytes.fill(random.pick([0, 127, 128, 255]), at, Math.min(at + length, bytes.length));
    else if (random.int(8) === 0) bytes = bytes.subarray(0, at);
  }
  return bytes;
}
