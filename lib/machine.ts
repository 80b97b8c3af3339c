import { cpus, loadavg } from "node:os";

/** Processor and load of this machine, which measured times depend on: "Intel(R) Xeon(R) …, load 0.3 on 2 cores". */
export function machineText(): string {
  const model = cpus()[0]?.model.trim() || "processor unknown";
  return `${model}, load ${loadavg()[1].toFixed(1)} on ${cpus().length} cores`;
}
