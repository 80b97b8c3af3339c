/** What a stretch of work takes: time, processors, bytes read, memory. */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { formatBytes } from "../../../lib/bytes.js";

/** Watches this process's anonymous memory from another thread: the main one is inside native code most of the time. */
export class MemoryWatch {
  private readonly peak = new Float64Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;

  constructor() {
    const source = `
      const { readFileSync } = require("node:fs");
      const { workerData } = require("node:worker_threads");
      const peak = new Float64Array(workerData);
      setInterval(() => {
        const text = readFileSync("/proc/self/smaps_rollup", "utf8");
        peak[0] = Math.max(peak[0], Number(/^Anonymous:\\s+(\\d+) kB/m.exec(text)[1]) * 1024);
      }, 50);`;
    this.worker = new Worker(source, { eval: true, workerData: this.peak.buffer });
  }

  /** The most since the last call. */
  take(): number {
    const most = this.peak[0];
    this.peak[0] = 0;
    return most;
  }

  async stop(): Promise<void> {
    await this.worker.terminate();
  }
}

/** Bytes that this process has asked files for. */
export function bytesReadSoFar(): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))![1]);
}

/** Cost of one stretch of work. */
interface Stretch {
  blocks: number;
  seconds: number;
  /** Of the processor, all threads together: what other processes do does not count. */
  cpu: number;
  read: number;
  peak: number;
}

/** Adds up what a run takes between the moments that its progress tells. */
export class Ledger {
  private readonly stretches = new Map<string, Stretch>();
  private label = "";
  private at = performance.now();
  private cpu = process.cpuUsage();
  private read = bytesReadSoFar();

  constructor(private readonly watch: MemoryWatch) {}

  /** Books the work since the last turn to the label before, and the work from now on to `label`. */
  turn(label: string): void {
    const before = this.stretches.get(this.label) ?? { blocks: 0, seconds: 0, cpu: 0, read: 0, peak: 0 };
    const { user, system } = process.cpuUsage(this.cpu);
    const read = bytesReadSoFar();
    this.stretches.set(this.label, {
      blocks: before.blocks + 1,
      seconds: before.seconds + (performance.now() - this.at) / 1000,
      cpu: before.cpu + (user + system) / 1e6,
      read: before.read + read - this.read,
      peak: Math.max(before.peak, this.watch.take()),
    });
    this.label = label;
    this.at = performance.now();
    this.cpu = process.cpuUsage();
    this.read = read;
  }

  print(): void {
    for (const [label, { blocks, seconds, cpu, read, peak }] of this.stretches) {
      if (label === "") continue;
      console.log(
        `  ${label.padEnd(28)} ${String(blocks).padStart(3)} × ${(seconds / blocks).toFixed(2).padStart(6)} s ` +
          `(${(cpu / blocks).toFixed(2).padStart(6)} s of processors)  read ${formatBytes(read / blocks).padStart(8)} each` +
          `  peak anonymous ${formatBytes(peak)}`,
      );
    }
  }
}
