import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type ErrorContent, type Output, wellFormedJson } from "../protocol/index.js";
import { codeFrame } from "./code-frame.js";
import { type CompilerProcess, startCompiler } from "./compiler/process.js";
import { describeExit } from "./exit-reason.js";
import { encodeFrame, frameReader } from "./frames.js";
import {
  addsStills,
  type Command,
  type CompileResult,
  type CompletionResult,
  type IsComplete,
  type Problem,
  type Report,
} from "./messages.js";

export interface SessionOptions {
  /** The notebook's folder: its imports resolve from here. */
  folder: string;
  /** The working folder of the cells; the notebook's folder when left out. */
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Whether somebody types the cells: the compiler then uses its idle time to be quick with the first ones. */
  interactive?: boolean;
  /** Whether the still images of figures are added to the outputs by who takes them. */
  addsStills?: boolean;
  /** Called when the process that runs the cells ends by itself. */
  onDeath?: (error: ErrorContent) => void;
  /** Answers a cell that asks for a line of input; without it, asking is an error. */
  onInput?: (prompt: string, password: boolean) => Promise<string>;
}

export interface ExecuteOptions {
  /** The cell's number, in `In[n]`. */
  count: number;
  /**
   * Takes the outputs, of this cell and later of what it left running. The cell waits while a promise that
   * this returned is pending.
   */
  onOutput: (output: Output) => void | Promise<void>;
  /** Code of the next cell, which is then compiled while this one runs. */
  next?: string;
}

export interface Outcome {
  status: "ok" | "error";
  error?: ErrorContent;
  /** Reason why a cell failed. */
  cause?: "compiler" | "thrown" | "interrupt" | "death";
}

/** A notebook's state: its compiler, and the process that runs its cells. No sockets, no files. */
export interface Session {
  /** Runs one cell; cells are run one at a time, in order. */
  execute(code: string, options: ExecuteOptions): Promise<Outcome>;
  complete(code: string, position: number): Promise<CompletionResult>;
  inspect(code: string, position: number): Promise<string | undefined>;
  isComplete(code: string): Promise<IsComplete>;
  /** Interrupts the running cell and the processes that it has started; variables are kept. Does nothing when no cell runs. */
  interrupt(): void;
  /** Ends the session and the processes that its cells have started and not detached. */
  close(): Promise<void>;
}

/** A cell that is compiled before its turn, as if the one before it had succeeded. */
interface CompiledAhead {
  readonly code: string;
  readonly name: string;
  /** Undefined where the compiler failed. */
  readonly result: Promise<CompileResult | undefined>;
}

interface Running {
  id: number;
  end(outcome: Outcome, declared: readonly string[] | "all"): void;
}

/** Node's own checks abort the process when terminateExecution cuts an async hook short. */
const childFlags = ["--no-force-async-hooks-checks"];
const childMain = fileURLToPath(new URL("./child/main.js", import.meta.url));

export function openSession(options: SessionOptions): Session {
  const compiler = startCompiler(options.folder, { interactive: options.interactive });
  const more = options.addsStills ? [addsStills] : [];
  const child = spawn(process.execPath, [...childFlags, childMain, options.folder, ...more], {
    cwd: options.cwd ?? options.folder,
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
    // A process group of its own: what the cells start is interrupted and ended with it.
    detached: process.platform !== "win32",
  });
  return connect(options, compiler, child);
}

function connect(options: SessionOptions, compiler: CompilerProcess, child: ChildProcess): Session {
  const [, stdout, stderr, reports, commands] = child.stdio as [null, Readable, Readable, Readable, Writable];
  const outputsOf = new Map<number, ExecuteOptions["onOutput"]>();
  let running: Running | undefined;
  let compiling: { cancel(): void } | undefined;
  let ahead: CompiledAhead | undefined;
  let committing: Promise<void> = Promise.resolve();
  let latest = 0;
  let closing = false;
  let dead: ErrorContent | undefined;
  let exitCalled: number | undefined;
  /** Problem that made its messages unreadable. */
  let broken: string | undefined;
  let stderrTail = "";
  /** Of the model that was loaded last. */
  let hooks: readonly string[] = [];

  const send = (command: Command): void => {
    if (dead === undefined) commands.write(encodeFrame(command));
  };
  // The child may be gone before what was written to it; its exit is what gets reported.
  commands.on("error", () => {});

  async function receive(report: Report): Promise<void> {
    if (report.type === "output") await outputsOf.get(report.run)?.(report.output);
    else if (report.type === "exit") exitCalled = report.code;
    else if (report.type === "input_request") answer(report);
    else if (report.type === "done" && running?.id === report.run) {
      // Native output comes by another pipe; let it through first.
      await new Promise((resolve) => setImmediate(resolve));
      const { error, interrupted } = report;
      if (report.hooks !== undefined && report.hooks.length > 0) hooks = report.hooks;
      const outcome: Outcome =
        error === undefined
          ? { status: "ok" }
          : { status: "error", error, cause: interrupted ? "interrupt" : "thrown" };
      running?.end(outcome, error === undefined ? "all" : report.declared);
    }
  }

  async function readReports(): Promise<void> {
    const read = frameReader(wellFormedJson);
    try {
      // One at a time, awaited: a client that is slow to take output slows the cell, not the memory down.
      for await (const chunk of reports)
        for (const report of read(chunk as Buffer)) await receive(report as Report);
    } catch (error) {
      // The stream is damaged: nothing that follows can be trusted.
      broken = error instanceof Error ? error.message : String(error);
      killGroup(child);
    }
  }

  async function readNative(stream: Readable, name: "stdout" | "stderr"): Promise<void> {
    stream.setEncoding("utf8");
    for await (const text of stream) {
      if (name === "stderr") stderrTail = (stderrTail + text).slice(-4096);
      await outputsOf.get(latest)?.({ type: "stream", content: { name, text: text as string } });
    }
  }

  function answer({ request, prompt, password }: Report & { type: "input_request" }): void {
    const asked = options.onInput?.(prompt, password) ?? Promise.reject(new Error(noInput));
    asked.then(
      (value) => send({ type: "input_reply", request, value }),
      (error: Error) => send({ type: "input_reply", request, error: error.message }),
    );
  }

  const exited = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on("exit", (code, signal) => resolve([code, signal]));
    child.on("error", (error) => {
      stderrTail = error.message;
      resolve([null, null]);
    });
  });
  const printed = Promise.all([readNative(stdout, "stdout"), readNative(stderr, "stderr")]);
  const ended = Promise.all([exited, readReports()]).then(async ([[code, signal]]) => {
    // A process that a cell has detached and left behind may hold these open for ever.
    await Promise.race([printed, delay(lastPrintsMs, undefined, { ref: false })]);
    for (const stream of [stdout, stderr]) stream.destroy();
    dead = describeExit({ code, signal, exitCalled, broken, stderrTail });
    compiling?.cancel();
    running?.end({ status: "error", error: dead, cause: "death" }, []);
    if (!closing) options.onDeath?.(dead);
  });
  void exited.then(() => killGroup(child));

  /** Gives how the compilation ended, or undefined when it was cancelled. */
  async function compile(code: string, name: string): Promise<CompileResult | Outcome | undefined> {
    const cancelled = new Promise<undefined>((resolve) => {
      compiling = { cancel: () => resolve(undefined) };
    });
    try {
      await committing;
      return await Promise.race([compileNow(code, name), cancelled]);
    } catch (error) {
      return { status: "error", error: compilerFailure(error), cause: "compiler" };
    } finally {
      compiling = undefined;
    }
  }

  /**
   * What was compiled ahead holds, but for mistakes, which the cell before it may have mended (it installs a package), and
   * for files near the notebook, which it may have written.
   */
  async function compileNow(code: string, name: string): Promise<CompileResult> {
    const made = ahead?.code === code && ahead.name === name ? await ahead.result : undefined;
    ahead = undefined;
    if (made?.ok && !made.cell.imports.some(({ specifier }) => isFile(specifier))) return made;
    return compiler.compile(code, name);
  }

  function compileAhead(code: string, name: string): void {
    committed(compiler.commit("all"));
    // It is compiled again in its turn, and fails then if it does.
    ahead = { code, name, result: compiler.compile(code, name).catch(() => undefined) };
  }

  /** The next cell waits for it, and says so if it failed. */
  function committed(done: Promise<void>): void {
    committing = done;
    committing.catch(() => {});
  }

  async function execute(code: string, { count, onOutput, next }: ExecuteOptions): Promise<Outcome> {
    if (dead !== undefined) return { status: "error", error: dead, cause: "death" };
    const name = `In[${count}]`;
    const compiled = await compile(code, name);
    // Its process may have ended meanwhile, and would never take it.
    if (dead !== undefined) return { status: "error", error: dead, cause: "death" };
    if (compiled === undefined) return { status: "error", error: interruptedError, cause: "interrupt" };
    if ("status" in compiled) return compiled;
    if (!compiled.ok)
      return { status: "error", error: compileError(code, name, compiled.problems), cause: "compiler" };
    const id = ++latest;
    outputsOf.set(id, onOutput);
    outputsOf.delete(id - keptOutputs);
    const { outcome, declared } = await new Promise<{
      outcome: Outcome;
      declared: readonly string[] | "all";
    }>((resolve) => {
      running = {
        id,
        end(outcome, declared) {
          running = undefined;
          resolve({ outcome, declared });
        },
      };
      send({ type: "run", run: id, code, cell: compiled.cell, count });
      if (next !== undefined) compileAhead(next, `In[${count + 1}]`);
    });
    if (dead !== undefined) return outcome;
    if (next === undefined) committed(compiler.commit(declared));
    else if (declared !== "all") {
      ahead = undefined;
      committed(compiler.amend(declared));
    }
    return outcome;
  }

  return {
    execute,
    complete: (code, position) => compiler.complete(code, position, hooks),
    inspect: compiler.inspect,
    isComplete: compiler.isComplete,
    interrupt() {
      compiling?.cancel();
      if (running !== undefined) send({ type: "interrupt", run: running.id });
    },
    async close() {
      closing = true;
      killGroup(child);
      // In this order: a cell that is being compiled learns that its process is gone.
      await ended;
      await compiler.close();
    },
  };
}

/** True for what is no package, and may have changed. */
const isFile = (specifier: string): boolean => /^(?:[./]|file:)/.test(specifier);

/** Ends the process that runs the cells, and what they have started in its group. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (process.platform === "win32") {
    child.kill("SIGKILL");
    return;
  }
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // Nobody is left in it.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Number of later cells during which code that a cell left running may still print into it. */
const keptOutputs = 1000;

/** Milliseconds that native output may take to arrive after its process has ended. */
const lastPrintsMs = 1000;

const noInput = "Nobody can answer here: this notebook runs without a person at the keyboard.";

const interruptedError: ErrorContent = {
  ename: "KeyboardInterrupt",
  evalue: "The cell was interrupted.",
  traceback: ["KeyboardInterrupt: The cell was interrupted."],
};

function compilerFailure(error: unknown): ErrorContent {
  const evalue = error instanceof Error ? error.message : String(error);
  return { ename: "CompilerError", evalue, traceback: [`CompilerError: ${evalue}`] };
}

function compileError(source: string, name: string, problems: readonly Problem[]): ErrorContent {
  const code = JSON.parse(wellFormedJson(JSON.stringify(source))) as string;
  const traceback = problems.map((problem) => {
    const where = `${name}:${problem.line}:${problem.column}`;
    const number = problem.code === undefined ? "" : ` TS${problem.code}`;
    return `${where} - error${number}: ${problem.message}\n${codeFrame(code, { name, ...problem })}`;
  });
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  return {
    ename: "TypeScriptError",
    evalue: `${name}:${first.line}:${first.column} ${first.message}${more}`,
    traceback,
  };
}
