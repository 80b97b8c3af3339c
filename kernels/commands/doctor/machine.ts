import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { formatBytes } from "../../../lib/bytes.js";
import { openCheckpoint } from "../../../lib/model/checkpoint/index.js";
import { EMBEDDED_MODELS, embeddedModels } from "../../../lib/model/load.js";
import { packageRoot } from "../../../lib/package-root.js";
import { type Check, firstLine } from "./check.js";

/** Bytes of free memory below which only the embedded checkpoints run. */
const littleMemory = 2 ** 30;

export function checkNode(): Check {
  const { engines } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    engines: { node: string };
  };
  const needed = /\d+(\.\d+)*/.exec(engines.node)?.[0] ?? "0";
  const detail = `${process.version} on ${process.platform} ${process.arch}`;
  if (compareVersions(process.version.slice(1), needed) >= 0) return { about: "Node", state: "ok", detail };
  return {
    about: "Node",
    state: "broken",
    detail: `${detail} is too old`,
    fix: `Install Node ${needed} or later: https://nodejs.org`,
  };
}

/** Negative when the first version is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number.parseFloat));
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function checkMemory(): Check {
  const model = cpus()[0]?.model.trim();
  const detail = `${formatBytes(freemem())} free of ${formatBytes(totalmem())}; ${availableParallelism()} cores${model ? `, ${model}` : ""}`;
  if (freemem() > littleMemory) return { about: "memory", state: "ok", detail };
  const fix =
    'Close other programs, or limit the model to less memory with loadModel(…, { memory: "500MB" }).';
  return { about: "memory", state: "absent", detail, fix };
}

export function checkGpu(): Check {
  const query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
  const { stdout, status, error } = spawnSync("nvidia-smi", query, { encoding: "utf8", timeout: 10_000 });
  if (status === 0 && stdout.trim() !== "")
    return { about: "NVIDIA GPU", state: "ok", detail: stdout.trim().replaceAll("\n", "; ") };
  const detail =
    error === undefined ? `nvidia-smi failed: ${firstLine(stdout)}` : "none found (no nvidia-smi here)";
  return {
    about: "NVIDIA GPU",
    state: "absent",
    detail,
    fix: "Optional; other GPUs work through WebGPU.",
  };
}

/** Opens each checkpoint that comes with the package. */
export function checkCheckpoints(): Check[] {
  const names = embeddedModels();
  if (names.length === 0) {
    const detail = `${EMBEDDED_MODELS} has none`;
    const fix = "The studies need them. Install the package again.";
    return [{ about: "embedded checkpoints", state: "broken", detail, fix }];
  }
  return names.map((name) => {
    const about = `checkpoint ${name}`;
    try {
      const checkpoint = openCheckpoint(join(EMBEDDED_MODELS, name));
      const numbers = [...checkpoint.weights.values()].reduce(
        (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
        0,
      );
      checkpoint.close();
      return {
        about,
        state: "ok",
        detail: `${checkpoint.modelType}, ${(numbers / 1e6).toFixed(1)} M parameters`,
      };
    } catch (error) {
      return {
        about,
        state: "broken",
        detail: firstLine(error),
        fix: "Its files are damaged: install the package again.",
      };
    }
  });
}
