import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** The numbers of the cores that this process may use. */
export function allowedCores(): number[] {
  if (process.platform === "linux") {
    const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (list !== undefined) return parseCoreList(list);
  }
  return Array.from({ length: availableParallelism() }, (_, i) => i);
}

/** `0-3,8` as numbers. */
export function parseCoreList(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Whether a process can be kept on some cores. */
export function canPin(): boolean {
  if (process.platform !== "linux") return false;
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Variables for libraries with threads of their own; Node's and onnxruntime's follow the allowed cores. */
export function threadEnvironment(cores: number): NodeJS.ProcessEnv {
  const count = String(cores);
  return { OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, MKL_NUM_THREADS: count };
}
