import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Check, firstLine } from "./check.js";

export interface ProbeAnswer {
  detail?: string;
  error?: string;
}

/** Prefix of the probe's answer: native libraries print lines of their own. */
export const probeMark = "modalscope probe: ";

const probeMain = fileURLToPath(new URL("./probe.js", import.meta.url));
const probeLimitMs = 60_000;

/** Checks which back ends of onnxruntime and tfjs load, and why the others do not. */
export async function checkBackEnds(): Promise<Check[]> {
  const [cpu, webgpu, cuda, tfjs] = await Promise.all(["cpu", "webgpu", "cuda", "tfjs"].map(probe));
  return [
    found("onnxruntime on the CPU", cpu, "broken", "Models cannot run. Install the package again: npm ci."),
    found(
      "onnxruntime on WebGPU",
      webgpu,
      "absent",
      "Only needed for a GPU: install its Vulkan driver and libvulkan1 (environment.md, WebGPU).",
    ),
    found(
      "onnxruntime on CUDA",
      cuda,
      "absent",
      "Only needed for an NVIDIA GPU: npm rebuild onnxruntime-node --onnxruntime-node-install=cuda12 (environment.md, CUDA).",
    ),
    found(
      "learning on tfjs",
      tfjs,
      "broken",
      "Analyses that train probes cannot run. Install the package again: npm ci.",
    ),
  ];
}

function found(about: string, answer: ProbeAnswer, otherwise: Check["state"], fix: string): Check {
  return answer.detail !== undefined
    ? { about, state: "ok", detail: answer.detail }
    : { about, state: otherwise, detail: answer.error ?? "no answer", fix };
}

function probe(what: string): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [probeMain, what], { timeout: probeLimitMs });
    let said = "";
    let complaint = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    child.stderr.on("data", (text) => {
      complaint += text;
    });
    child.on("error", (error) => resolve({ error: error.message }));
    child.on("close", (code, signal) => {
      const line = said.split("\n").find((text) => text.startsWith(probeMark));
      if (line !== undefined) resolve(JSON.parse(line.slice(probeMark.length)) as ProbeAnswer);
      else {
        const end = signal === null ? `exit code ${code}` : signal;
        resolve({ error: `Loading it ended the process (${end}). ${firstLine(complaint)}`.trim() });
      }
    });
  });
}
