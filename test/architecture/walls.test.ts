import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { packageRoot } from "../../lib/package-root.js";
import { importsIn } from "./imports.js";
import { brokenWalls, floors, type Walls } from "./walls.js";

const LIBRARY = [
  "lib/analysis",
  "lib/circuits",
  "lib/model",
  "lib/onnx",
  "lib/plot",
  "lib/studies",
  "lib/tasks",
];
const GROUND = "lib";

/** `lib/model` from the top down; each floor knows those below it. */
const MODEL = [
  ["lib/model/methods", "lib/model/training", "lib/model/load.ts"],
  ["lib/model/model.ts", "lib/model/backward"],
  ["lib/model/forward"],
  ["lib/model/vision"],
  ["lib/model/engine"],
  ["lib/model/edits", "lib/model/captures"],
  ["lib/model/hooks", "lib/model/batch"],
  ["lib/model/families"],
  ["lib/model/nn"],
  ["lib/model/graph", "lib/model/checkpoint", "lib/model/images"],
];

/** The rooms of ARCHITECTURE.md. */
const WALLS: Walls = {
  rooms: [
    { path: GROUND, knows: [], open: true },
    { path: "lib/index.ts", knows: [GROUND, "lib/model", "lib/plot", "lib/storage"] },
    { path: "lib/notebook", knows: [GROUND] },
    { path: "lib/runtime", knows: [GROUND] },
    { path: "lib/storage", knows: [GROUND] },
    { path: "lib/onnx", knows: [GROUND, "lib/runtime"] },
    { path: "lib/model", knows: [GROUND, "lib/runtime", ...MODEL.flat()] },
    ...floors(MODEL, [GROUND, "lib/runtime", "lib/storage"]),
    { path: "lib/analysis", knows: [GROUND, "lib/analysis/learn/tfjs.ts"] },
    // An entry of its own, modalscope/tfjs: its declarations bring those of tfjs.
    { path: "lib/analysis/learn/tfjs.ts", knows: [GROUND] },
    {
      path: "lib/circuits",
      knows: [GROUND, "lib/runtime", "lib/model", ...MODEL.flat(), "lib/analysis", "lib/plot"],
    },
    { path: "lib/tasks", knows: [GROUND, "lib/storage"] },
    { path: "lib/plot", knows: [GROUND, "lib/notebook"] },
    {
      path: "lib/studies",
      knows: [
        GROUND,
        "lib/analysis",
        "lib/model",
        "lib/model/methods",
        "lib/plot",
        "lib/storage",
        "lib/tasks",
      ],
    },
    // A study's own measuring: what notebooks call.
    {
      path: "lib/studies/gap-phase1",
      knows: [
        GROUND,
        "lib/analysis",
        "lib/model",
        "lib/model/methods",
        "lib/plot",
        "lib/storage",
        "lib/studies",
        "lib/tasks",
      ],
    },
    {
      path: "lib/studies/circuit-tracing",
      knows: [
        GROUND,
        "lib/analysis",
        "lib/circuits",
        "lib/model",
        "lib/model/methods",
        "lib/plot",
        "lib/studies",
        "lib/tasks",
      ],
    },
    { path: "kernels/protocol", knows: [GROUND, "lib/notebook"] },
    { path: "kernels/typescript", knows: [GROUND, "kernels/protocol"] },
    // Its files are imported one by one: a process reads no more of the room than it runs.
    {
      path: "kernels/runner",
      // Figures' still images are drawn by a thread of the runner.
      knows: [GROUND, "lib/notebook", "lib/plot", "lib/storage", "kernels/protocol", "kernels/typescript"],
      open: true,
    },
    {
      path: "kernels/commands",
      open: true,
      knows: [
        GROUND,
        ...LIBRARY,
        ...MODEL.flat(),
        "lib/analysis/learn/tfjs.ts",
        "lib/notebook",
        "lib/runtime",
        "lib/storage",
        "kernels/protocol",
        "kernels/typescript",
        "kernels/runner",
      ],
    },
    { path: "kernels/cli.ts", knows: [GROUND, "kernels/commands"] },
    { path: "data/train", knows: [GROUND, ...LIBRARY, ...MODEL.flat()] },
    // Written against the published package alone.
    { path: "examples", knows: [] },
  ],
  doors: {
    "onnxruntime-node": ["lib/runtime"],
    "onnxruntime-common": ["lib/runtime"],
    commander: ["kernels/cli.ts", "kernels/commands", "data/train"],
  },
};

it("the project's own imports keep the walls", () => {
  assert.deepEqual(
    brokenWalls(importsIn(packageRoot(), ["lib", "kernels", "data/train", "examples"]), WALLS),
    [],
  );
});

describe("the checker of the walls, on a small made-up tree", () => {
  const root = mkdtempSync(join(tmpdir(), "modalscope-walls-"));
  after(() => rmSync(root, { recursive: true }));
  const walls: Walls = {
    rooms: [
      { path: "lib", knows: [], open: true },
      ...floors([["lib/upper"], ["lib/left", "lib/right"], ["lib/lower"]], ["lib"]),
    ],
    doors: { native: ["lib/lower"] },
  };
  const tree: Readonly<Record<string, string>> = {
    "lib/errors.ts": "export const x = 1;",
    "lib/lower/index.ts": 'export * from "./deep.js"; import { load } from "native";',
    "lib/lower/deep.ts": 'import { x } from "../errors.js"; import fs from "node:fs";',
    "lib/left/index.ts": 'import { x } from "../lower/index.js";',
    "lib/right/index.ts": 'export { x } from "../lower/index.js";',
    "lib/upper/index.ts": 'import { x } from "../left/index.js"; import { y } from "../lower/index.js";',
  };
  /** Walls that are broken when `file` says `text`. */
  const broken = (file = "lib/errors.ts", text = tree["lib/errors.ts"]): string[] => {
    rmSync(root, { recursive: true });
    for (const [name, content] of Object.entries({ ...tree, [file]: text })) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), content);
    }
    return brokenWalls(importsIn(root, ["lib"]), walls);
  };

  it("finds nothing where all walls are kept", () => {
    assert.deepEqual(broken(), []);
  });

  it("finds imports upwards and sideways, of types and on the fly too", () => {
    for (const [file, target, text] of [
      ["lib/lower/up.ts", "left", 'import { x } from "../left/index.js";'],
      ["lib/lower/up.ts", "upper", 'import type { X } from "../upper/index.js";'],
      ["lib/left/side.ts", "right", 'export * from "../right/index.js";'],
      ["lib/left/side.ts", "right", 'const x: typeof import("../right/index.js") | undefined = undefined;'],
      ["lib/left/side.ts", "right", 'const x = await import("../right/index.js");'],
      ["lib/left/side.ts", "right", 'import x = require("../right/index.js");'],
    ]) {
      const room = dirname(file);
      const expected = `${file} imports lib/${target}/index.ts: ${room} may not know lib/${target}`;
      assert.ok(broken(file, text).includes(expected), text);
    }
  });

  it("finds imports past a room's index.ts", () => {
    assert.deepEqual(broken("lib/upper/more.ts", 'import { x } from "../lower/deep.js";'), [
      "lib/upper/more.ts imports lib/lower/deep.ts past lib/lower/index.ts",
    ]);
  });

  it("finds a package that is imported outside its room, statically or by require", () => {
    for (const text of ['import { load } from "native/inner";', 'const n = require("native");'])
      assert.deepEqual(broken("lib/upper/native.ts", text), [
        "lib/upper/native.ts imports native, which is for lib/lower",
      ]);
  });

  it("finds circles among files of one room", () => {
    assert.deepEqual(broken("lib/lower/deep.ts", 'import { x } from "./index.js";'), [
      "circle: lib/lower/index.ts → lib/lower/deep.ts → lib/lower/index.ts",
    ]);
  });

  it("finds files that belong to no room, and rooms that nobody planned", () => {
    assert.deepEqual(brokenWalls([{ from: "src/a.ts", to: "lib/errors.ts", isPackage: false }], walls), [
      "src/a.ts belongs to no room",
    ]);
    assert.deepEqual(broken("lib/attic/a.ts", 'import { x } from "../lower/index.js";'), [
      "lib/attic/a.ts imports lib/lower/index.ts: lib may not know lib/lower",
    ]);
  });
});
