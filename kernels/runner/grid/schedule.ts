/** Runs jobs side by side within a limit of slots and of memory. Knows nothing of notebooks. */

/** A job that has been started. */
export interface StartedJob<T> {
  readonly result: Promise<T>;
  /** Bytes that it takes now. */
  memory(): number;
  /** Ends it at once, with all that it has done. */
  kill(): void;
}

export interface Schedule<T> {
  jobs: number;
  /** Number of jobs that may run at a time. */
  slots: number;
  /** Bytes for all that run at a time. */
  maxMemory: number;
  /** Starts a job at a slot; each slot has one job at a time. */
  start(job: number, slot: number): StartedJob<T>;
  /** A job has ended. What this gives is waited for at the end, when it is a promise. */
  done(job: number, result: T): unknown;
  /** A job is ended because the memory does not suffice: `retried` when it is started again later. */
  outOfMemory(job: number, bytes: number, retried: boolean): void;
  /** A job that takes more memory than there is for all has ended. */
  failed(job: number, bytes: number): unknown;
  /** No more jobs are started once it has come; those that run are left to their caller. */
  signal?: AbortSignal;
  /** Milliseconds between two looks at the memory. */
  lookEveryMs?: number;
}

interface Running<T> {
  job: number;
  slot: number;
  started: StartedJob<T>;
  memory: number;
  ended: Promise<void>;
  /** Whether it was ended for its memory, and what becomes of it. */
  killed?: "retried" | "failed";
}

/**
 * Resolves when all jobs are done. How much memory a job takes is learnt from those before it; when the limit is
 * passed all the same, the one that was started last is ended and tried again later. One that passes it alone has
 * failed.
 */
export async function runScheduled<T>(schedule: Schedule<T>): Promise<void> {
  const { jobs, slots, maxMemory, signal, lookEveryMs = 500 } = schedule;
  const queue = Array.from({ length: jobs }, (_, job) => job);
  const free = Array.from({ length: slots }, (_, slot) => slot).reverse();
  const running: Running<T>[] = [];
  const ends: Promise<void>[] = [];
  /** The most that a job has been seen to take. */
  let expected = 0;

  const used = (): number => running.reduce((sum, { memory }) => sum + Math.max(memory, expected), 0);

  function startOne(job: number): void {
    const slot = free.pop();
    if (slot === undefined) throw new Error("There is no free slot.");
    const started = schedule.start(job, slot);
    const one: Running<T> = { job, slot, started, memory: 0, ended: Promise.resolve() };
    one.ended = started.result.then(async (result) => {
      running.splice(running.indexOf(one), 1);
      free.push(slot);
      if (one.killed === "retried") queue.unshift(job);
      else if (one.killed === "failed") await schedule.failed(job, one.memory);
      else await schedule.done(job, result);
    });
    ends.push(one.ended);
    running.push(one);
  }

  function look(): void {
    for (const one of running) {
      one.memory = one.started.memory();
      expected = Math.max(expected, one.memory);
    }
    const total = running.reduce((sum, { memory }) => sum + memory, 0);
    const last = running.at(-1);
    if (total <= maxMemory || last === undefined || running.some(({ killed }) => killed)) return;
    const retried = running.length > 1;
    last.killed = retried ? "retried" : "failed";
    schedule.outOfMemory(last.job, last.memory, retried);
    last.started.kill();
  }

  while (true) {
    while (
      queue.length > 0 &&
      running.length < slots &&
      !signal?.aborted &&
      (running.length === 0 || used() + expected <= maxMemory)
    ) {
      startOne(queue.shift() as number);
    }
    if (running.length === 0) {
      await Promise.all(ends);
      return;
    }
    await Promise.race([...running.map(({ ended }) => ended), pause(lookEveryMs)]);
    look();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
