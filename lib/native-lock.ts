/**
 * A lock around native calls, shared with the notebook kernel.
 *
 * The kernel stops a running cell from another thread by V8's terminateExecution, which aborts the whole
 * process when it arrives while a native add-on (onnxruntime) is on the stack. So native code is entered
 * through this lock: an interrupt waits until the call has returned. The kernel's own steps that must not be cut in two, such
 * as the end of a cell, hold it too. Outside the kernel both calls do nothing.
 *
 * The kernel puts an Int32Array over a SharedArrayBuffer on `globalThis[Symbol.for("modalscope.nativeLock")]`;
 * its cells are named by {@link NativeLockCell}.
 */
export const NativeLockCell = {
  /** {@link NativeLockState}: who holds the lock. */
  state: 0,
  /** 1 while an interrupt waits for the native call to return. */
  pending: 1,
  /** Number of nested or concurrent native calls under way. */
  depth: 2,
} as const;

export const NativeLockState = { free: 0, native: 1, interrupting: 2 } as const;

const key = Symbol.for("modalscope.nativeLock");

// Copies, because cells may change the global ones.
const { add, sub, compareExchange, load, store, wait, notify } = Atomics;

/** Milliseconds that a returning native call gives a waiting interrupt to arrive. */
const handOverMs = 1000;

function sharedLock(): Int32Array | undefined {
  return (globalThis as { [key]?: Int32Array })[key];
}

/** Call before entering native code; pair it with {@link unlockNative} in a `finally`. Calls may nest. */
export function lockNative(): void {
  const lock = sharedLock();
  if (lock === undefined) return;
  // While the depth is above zero this thread holds the lock, and nothing can cut these lines short.
  if (load(lock, NativeLockCell.depth) === 0) {
    const { free, native } = NativeLockState;
    for (;;) {
      const found = compareExchange(lock, NativeLockCell.state, free, native);
      if (found === free) break;
      wait(lock, NativeLockCell.state, found);
    }
  }
  add(lock, NativeLockCell.depth, 1);
}

/** Call when native code has returned. An interrupt that came meanwhile stops the caller here. */
export function unlockNative(): void {
  const lock = sharedLock();
  if (lock === undefined) return;
  if (sub(lock, NativeLockCell.depth, 1) > 1) return;
  store(lock, NativeLockCell.state, NativeLockState.free);
  notify(lock, NativeLockCell.state);
  if (load(lock, NativeLockCell.pending) === 1) {
    // Without this pause a loop of short native calls would take the lock again before the interrupt can.
    wait(lock, NativeLockCell.pending, 1, handOverMs);
  }
}
