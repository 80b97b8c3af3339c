import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  inspectNotebook,
  type Notebook,
  notebookParameters,
  runNotebook,
} from "../../../kernels/runner/index.js";
import { injectParameters } from "../../../kernels/runner/parameters/inject.js";
import { type Parameters, parseParameters, parseValue } from "../../../kernels/runner/parameters/values.js";
import { fillPath } from "../../../kernels/runner/path-template.js";
import { joined } from "../../../lib/notebook/index.js";
import { temporaryFolder } from "../temporary.js";
import { command, fixtures, load, notebookOf, statuses, tagged, textOf, writeNotebook } from "./support.js";

const folder = temporaryFolder();
const input = join(fixtures, "parameters.ipynb");
const out = (name: string): string => join(folder, "made on the way", name);

/** A notebook whose `parameters` cell is this. */
function declaring(source: string, kernel?: string): Notebook {
  return notebookOf([{ source, tags: ["parameters"] }], kernel);
}

/** The code that is injected into such a notebook. */
function injected(source: string, values: Parameters, kernel?: string): string {
  const notebook = declaring(source, kernel);
  injectParameters(notebook, values, { folder });
  return joined(notebook.cells[1].source);
}

describe("values", () => {
  const awkward = "quotes \" ' ` $" + "{no} \\ \u2028 \u{1F600} </script>";

  test("win over the defaults, whatever they hold; a second run replaces them", async () => {
    const output = out("parameters.ipynb");
    const parameters = {
      count: 5,
      label: awkward,
      sizes: [-1.5, 2e300],
      options: { deep: { list: [null, true, { "odd key": "x", ["__proto__"]: 1 }] }, none: null },
      big: 123456789012345678901234567890n,
    };
    const { status } = await runNotebook({ input, output, parameters });
    assert.equal(status, "completed");
    const notebook = load(output);
    assert.deepEqual(JSON.parse(textOf(notebook.cells[4])), {
      ...parameters,
      doubled: 10,
      big: String(parameters.big),
    });
    assert.deepEqual(notebook.cells[2].metadata.tags, ["injected-parameters"]);
    assert.deepEqual(statuses(notebook), Array(5).fill("completed"));

    const again = out("again.ipynb");
    await runNotebook({ input: output, output: again, parameters: { count: 6 } });
    const second = load(again);
    assert.equal(tagged(second, "injected-parameters").length, 1);
    assert.equal(joined(second.cells[2].source), "// Parameters\nconst count: number = 6;");
    assert.equal(JSON.parse(textOf(second.cells[4])).label, "plain");

    await runNotebook({ input: output, output: again, prepareOnly: true });
    assert.equal(tagged(load(again), "injected-parameters").length, 0);
  });

  test("are read from text as papermill reads them", () => {
    const texts = ["1", "-2.5", "1e3", "True", "false", "None", "null", "007x", "12345678901234567890", ""];
    const values = [1, -2.5, 1000, true, false, null, null, "007x", 12345678901234567890n, ""];
    assert.deepEqual(texts.map(parseValue), values);
    assert.deepEqual(parseParameters("a: [1, 2.5, x]\nb: {c: 12345678901234567890}", "here"), {
      a: [1, 2.5, "x"],
      b: { c: 12345678901234567890n },
    });
    assert.equal(parseValue("1e400"), "1e400");
    assert.deepEqual(parseParameters("a: !!timestamp 2024-02-01\nb: yes\nc: .inf", "here"), {
      a: "2024-02-01T00:00:00.000Z",
      b: "yes",
      c: Infinity,
    });
    for (const [yaml, why] of [
      ["a: !!binary aGVsbG8=", /type for (Buffer|Uint8Array) cannot be a parameter/],
      ["a: !!set {x, y}", /type for Set cannot be a parameter/],
      ["a: !own 1", /Unresolved tag: !own/],
      ["a: &a [1, *a]", /A list or mapping holds itself/],
      ["a: 1\na: 2", /keys must be unique/],
    ] as const)
      assert.throws(() => parseParameters(yaml, "here"), why, yaml);
    assert.throws(() => parseParameters("- 1", "here"), /no mapping/);
    assert.throws(() => parseParameters("a: [1", "here"), /Cannot read the parameters in here/);
  });

  test("are written as TypeScript", () => {
    const cell =
      "const mode = 'fast'; let rate = 1; const big: bigint = 1n; let list = []; const o = { a: 1 };";
    assert.equal(
      injected(cell, { mode: "slow", rate: -0, big: 5, list: [NaN, -Infinity], o: { a: 2 } }),
      '// Parameters\nconst mode: string = "slow";\nlet rate = -0;\nconst big: bigint = 5n;\nlet list = [NaN, -Infinity];\nconst o = { a: 2 };',
    );
  });

  test("are written as Python", () => {
    const cell = "a = 1\nb: str = 'x'\nc = None\nd = {}\ne = 0.5";
    const values = { a: 12345678901234567890n, b: 'é "\n', c: null, d: { k: [true, NaN] }, e: 2 };
    assert.equal(
      injected(cell, values, "python3"),
      '# Parameters\na = 12345678901234567890\nb = "é \\"\\n"\nc = None\nd = {"k": [True, float("nan")]}\ne = 2',
    );
  });
});

describe("types", () => {
  const cell = [
    "type Mode = 'fast' | 'slow';",
    "interface Size { rows: number; columns?: number }",
    "const mode: Mode = 'fast';",
    "const size: Size = { rows: 1 };",
    "let sizes = [1, 2];",
    "let name = 'x';",
    "const maybe: number | null = null;",
    "const limits = { low: -1, high: 1 };",
    "const found = Math.max(1, 2);",
    "const unknown: Missing = 1;",
    "let empty = [];",
    "const flag = !true;",
    "let open, unset = undefined;",
    "const since: Date = new Date(0);",
  ].join("\n");

  const right: Parameters[] = [
    { mode: "slow" },
    { size: { rows: 2, columns: 3 } },
    { sizes: [] },
    { sizes: [3.5] },
    { maybe: null },
    { maybe: 4 },
    { limits: { low: 0, high: 0 } },
    { found: 7 },
    { unknown: "left for the run to report" },
    { empty: [1, "a"] },
    { flag: true },
    { open: 5 },
    { unset: ["a"] },
  ];
  const wrong: [Parameters, RegExp][] = [
    [
      { mode: "fats" },
      /"mode" must be Mode, and was given "fats".*'"fats"' is not assignable to type 'Mode'/,
    ],
    [{ size: { row: 2 } }, /"size" must be Size.*Did you mean to write 'rows'/],
    [{ size: [1] }, /must be Size/],
    [{ sizes: [1, "2"] }, /"sizes" must be number\[\], and was given \[1,"2"\]/],
    [{ sizes: null }, /must be number\[\], and was given null/],
    [{ name: 8 }, /"name" must be string, and was given 8\. Give it as text, as it is written: -r name 8\./],
    [{ name: null }, /must be string, and was given null/],
    [{ maybe: "4" }, /must be number \| null/],
    [{ limits: { low: 0 } }, /"limits" must be \{ low: number; high: number \}.*'high' is missing/],
    [{ found: "7" }, /of its default's type \(Math\.max\(1, 2\)\)/],
    [{ flag: "yes" }, /must be boolean/],
    [{ since: "2024-02-01" }, /must be Date.*take text, and make the Date of it in a later cell/],
    [{ nmae: "x" }, /no parameter "nmae".*Did you mean "name"/],
    [{ Mode: "x" }, /no parameter "Mode"/],
  ];

  for (const values of right) {
    test(`${JSON.stringify(values)} is right`, () => {
      assert.match(injected(cell, values), new RegExp(Object.keys(values)[0]));
    });
  }
  for (const [values, message] of wrong) {
    test(`${JSON.stringify(values)} is wrong`, () => {
      assert.throws(() => injected(cell, values), message);
    });
  }

  test("of Python's parameters are those written or of the default", () => {
    const source =
      "n = 1\nrate: float = 0.5\nname: Optional[str] = None\nflag = True\nitems: list[int] = [1]\nother = f()";
    const python = (values: Parameters): string => injected(source, values, "python3");
    const right: Parameters[] = [
      { n: 2.5 },
      { rate: 1 },
      { name: null },
      { name: "x" },
      { items: [] },
      { other: "x" },
    ];
    for (const values of right) assert.match(python(values), /# Parameters/);
    assert.throws(() => python({ n: "2" }), /"n" must be int, and was given "2"/);
    assert.throws(() => python({ rate: "x" }), /must be float/);
    assert.throws(() => python({ flag: 1 }), /must be bool/);
    assert.throws(() => python({ name: 3 }), /must be Optional\[str\]/);
    assert.throws(() => python({ items: "1" }), /must be list\[int\]/);
    assert.throws(() => python({ itms: [] }), /Did you mean "items"/);
  });

  test("mistakes are found before anything is run or written", async () => {
    const run = (parameters: Parameters, path = input): Promise<unknown> =>
      runNotebook({ input: path, output: out("wrong.ipynb"), parameters });
    await assert.rejects(run({ coumt: 1 }), /no parameter "coumt".*Did you mean "count"/);
    await assert.rejects(run({ count: "five" }), /"count" must be number, and was given "five"/);
    await assert.rejects(run({ count: 1 }, join(fixtures, "failing.ipynb")), /takes no parameters/);
    const r = writeNotebook(join(folder, "r.ipynb"), [{ source: "x <- 1", tags: ["parameters"] }], "ir");
    const notebook = load(r);
    Object.assign(notebook.metadata.kernelspec as object, { language: "R" });
    assert.throws(() => injectParameters(notebook, { x: 1 }), /cannot be given to a R notebook/);
    assert.ok(!existsSync(out("wrong.ipynb")));
  });
});

describe("what a notebook takes", () => {
  const source = [
    "// %% Settings of the study",
    "",
    "// How many rows,",
    "// at most.",
    "const rows = 10, columns: number = 2;",
    "/**",
    " * Where to.",
    " */",
    'let path = "out"; // a folder',
    "const later: string[] = later0;",
    "function no() {}",
  ].join("\n");

  test("with types, defaults and comments", () => {
    const [rows, columns, path, later] = notebookParameters(declaring(source));
    assert.deepEqual(
      [rows, columns, path, later].map(({ name, type, inferred, initialiser, help }) => [
        name,
        type ?? inferred,
        initialiser,
        help,
      ]),
      [
        ["rows", "number", "10", "How many rows, at most."],
        ["columns", "number", "2", "How many rows, at most."],
        ["path", "string", '"out"', "Where to. a folder"],
        ["later", "string[]", "later0", ""],
      ],
    );
    assert.deepEqual(inspectNotebook(declaring(source)).rows, {
      name: "rows",
      inferred_type_name: "number",
      default: "10",
      help: "How many rows, at most.",
    });
  });

  test("in Python, over several lines, with strings that look like comments", () => {
    const python = [
      "a: int = 1  # how many",
      "b = [",
      "  1, # one",
      "  2,",
      "]  # both",
      'c = "# no" # yes',
      "d = '''long",
      "text'''",
      "if a == 1: pass",
      "e = g(x=1)",
    ].join("\n");
    assert.deepEqual(
      notebookParameters(declaring(python, "python3")).map(({ name, type, inferred, help }) => [
        name,
        type ?? inferred,
        help,
      ]),
      [
        ["a", "int", "how many"],
        ["b", "list", "both"],
        ["c", "str", "yes"],
        ["d", "str", ""],
        ["e", undefined, ""],
      ],
    );
  });

  test("by the command, for people and for programs", async () => {
    const help = await command(["run", input, "--help-notebook"], { cwd: folder });
    assert.equal(help.code, 0, help.stderr);
    assert.match(help.stdout, /count: number \(default 3\) +How many\./);
    const json = await command(["run", "-", "--inspect"], {
      cwd: folder,
      input: JSON.stringify(load(input)),
    });
    assert.deepEqual(JSON.parse(json.stdout).label, {
      name: "label",
      inferred_type_name: "string",
      default: '"plain"',
      help: "shown in titles",
    });
    const none = writeNotebook(join(folder, "none.ipynb"), ["1"]);
    const without = await command(["run", none, "--help-notebook"], { cwd: folder });
    assert.match(without.stdout, /No cell is tagged "parameters"/);
  });
});

describe("defaults that are computed from other parameters", () => {
  const source = [
    "const layers: number = 12;",
    "const half = layers / 2, other = 3;",
    "const name: string = `at $" + "{half}`;",
    "const sizes = { layers: 5 }, [first, second] = [half, other];",
    "const later = () => layers + 1;",
    "console.log(layers);",
  ].join("\n");

  test("follow the value that is given, in TypeScript and in Python", () => {
    assert.equal(
      injected(source, { layers: 4 }),
      [
        "// Parameters",
        "const layers: number = 4;",
        "// Computed from them",
        "const half = layers / 2;",
        "const name: string = `at $" + "{half}`;",
        "const [first, second] = [half, other];",
      ].join("\n"),
    );
    assert.equal(injected(source, { layers: 4, half: 1, name: "x" }).includes("layers / 2"), false);
    assert.equal(
      injected(
        "layers = 12\nhalf = layers / 2\nname = f'at {half}'\ntext = 'layers'\nother = m.layers\nprint(layers)",
        { layers: 4 },
        "python3",
      ),
      "# Parameters\nlayers = 4\n# Computed from them\nhalf = layers / 2\nname = f'at {half}'",
    );
  });

  test("have the right values in later cells", async () => {
    const path = writeNotebook(join(folder, "computed.ipynb"), [
      { source, tags: ["parameters"] },
      "console.log(half, name, first, second, later())",
    ]);
    const { notebook } = await runNotebook({
      input: path,
      output: out("c.ipynb"),
      parameters: { layers: 4 },
    });
    assert.equal(textOf(notebook.cells[2]), "2 at 2 2 3 5\n");
    const plain = await runNotebook({ input: path, output: out("c.ipynb") });
    assert.equal(textOf(plain.notebook.cells[1]), "6 at 6 6 3 13\n");
  });

  test("are named where they cannot follow", () => {
    const warnings = (source: string, kernel?: string): string[] =>
      injectParameters(declaring(source, kernel), { quick: true }, { folder });
    const typescript = "const quick = false;\nlet rounds = quick ? 10 : 100;\nif (quick) rounds = 1;";
    const [first, second, ...more] = warnings(typescript);
    assert.match(first, /`let rounds = quick \? 10 : 100;`.* the default of quick/);
    assert.match(second, /`if \(quick\) rounds = 1;`.* the default of quick/);
    assert.deepEqual(more, []);
    assert.match(
      warnings("quick = False\nrounds = 100\nif quick:\n  rounds = 1", "python3").join(),
      /`if quick:`/,
    );
    assert.deepEqual(warnings("quick = False\ndef f():\n  return quick\nother = 1", "python3"), []);
  });
});

describe("a second cell that is tagged parameters", () => {
  const twice = (second: string): string =>
    writeNotebook(join(folder, "twice.ipynb"), [
      { source: "const a: number = 1;", tags: ["parameters"] },
      { source: second, tags: ["parameters"] },
      "console.log(a)",
    ]);

  test("is told of", async () => {
    const { code, stderr } = await command(["run", twice("const b = 2;"), "-", "-p", "a", "5"], {
      cwd: folder,
    });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Warning: 2 cells are tagged "parameters"; only the first one takes values\./);
  });

  test("cannot take a value, nor set one back", async () => {
    const run = (second: string, parameters: Parameters): Promise<unknown> =>
      runNotebook({ input: twice(second), output: out("twice.ipynb"), parameters });
    await assert.rejects(
      run("const a = 2;", { a: 5 }),
      /"a" cannot be set.*a second cell tagged "parameters"/,
    );
    await assert.rejects(
      run("const b = 2;", { b: 5 }),
      /"b" cannot be set.*a second cell tagged "parameters"/,
    );
  });
});

test("text that is no base64 is refused", async () => {
  const { code, stderr } = await command(["run", input, "-", "-b", "!!!"], { cwd: folder });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^Cannot read the parameters in --parameters_base64\. They are no base64\. Give YAML as it is with -y\.\n$/,
  );
});

test("paths are filled from the parameters", () => {
  const values = { name: "a", size: { rows: [3, 4] }, n: 10n };
  assert.equal(fillPath("out/{name}-{size[rows][1]}-{n}.ipynb", values), "out/a-4-10.ipynb");
  assert.equal(fillPath("{{{name}}}", values), "{a}");
  assert.match(fillPath("{pm[run_uuid]}", {}), /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  assert.match(fillPath("{pm[current_datetime_utc]}", {}), /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d$/);
  assert.throws(() => fillPath("{nmae}", values), /there is no "nmae".*Did you mean "name"/);
  assert.throws(() => fillPath("{size[cols]}", values), /There is rows/);
  assert.throws(() => fillPath("{name:03d}", values), /Cannot read \{name:03d\}/);
  assert.throws(() => fillPath("a{b", values), /a single "\{"/);
});

test("the command takes parameters from all sides, the last one winning, and fills paths", async () => {
  writeFileSync(join(folder, "given.yaml"), "count: 1\nlabel: file\nsizes: [9]\n");
  const base64 = Buffer.from("count: 0").toString("base64");
  const given = ["-b", base64, "-f", "given.yaml", "-y", "label: yaml", "-p", "count", "7", "-r", "label=8"];
  const { code, stderr } = await command(["run", input, "runs/{label}/{count}.ipynb", ...given], {
    cwd: folder,
  });
  assert.equal(code, 0, stderr);
  const notebook = load(join(folder, "runs/8/7.ipynb"));
  const values = JSON.parse(textOf(notebook.cells[4]));
  assert.deepEqual([values.count, values.label, values.sizes], [7, "8", [9]]);
  assert.match(stderr, /\[1\/4\] How many\./);
  assert.equal((notebook.metadata.papermill as { output_path: string }).output_path, "runs/8/7.ipynb");
});
