/** Processes of this machine, and the memory that they take. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

interface ProcessInfo {
  pid: number;
  parent: number;
}

/** The process and all that it has started, the process first. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const { pid, parent } of allProcesses()) {
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [pid]);
    else siblings.push(pid);
  }
  const tree = [root];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i]) ?? []));
  return tree;
}

/**
 * Bytes of memory of a process and all that it has started. On Linux a page that several processes share, such as
 * a mapped checkpoint's, counts in parts.
 */
export function memoryOfTree(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + memoryOf(pid), 0);
}

/** Ends a process and all that it has started. */
export function killTree(root: number): void {
  for (const pid of processTree(root)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

function allProcesses(): ProcessInfo[] {
  if (process.platform !== "linux")
    return fromPs(["-axo", "pid=,ppid="]).map(([pid, parent]) => ({ pid, parent }));
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readProc(`/proc/${name}/stat`);
      if (stat === undefined) return [];
      // The name in it may hold anything, spaces and parentheses too.
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      return [{ pid: Number(name), parent }];
    });
}

function memoryOf(pid: number): number {
  if (process.platform !== "linux") return (fromPs(["-o", "rss=", "-p", String(pid)])[0]?.[0] ?? 0) * 1024;
  const rollup = readProc(`/proc/${pid}/smaps_rollup`) ?? "";
  const share = /^Pss:\s+(\d+) kB/m.exec(rollup)?.[1];
  if (share !== undefined) return Number(share) * 1024;
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/status`) ?? "")?.[1];
  return Number(resident ?? 0) * 1024;
}

/** Undefined for a process that has just ended, or is not ours to look into. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function fromPs(args: string[]): number[][] {
  let text: string;
  try {
    text = execFileSync("ps", args, { encoding: "utf8" });
  } catch (error) {
    // ps fails when the process has just ended.
    if ((error as { status?: number }).status === 1) return [];
    throw error;
  }
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.trim().split(/\s+/).map(Number));
}
