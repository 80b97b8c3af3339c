/**
 * A lock around native calls, shared with the notebook kernel.
 *
 * The kernel stops a running cell from another thread by V8's terminateExecution, which aborts the whole
 * process when it arrives while a native add-on (onnxruntime) is on the stack. So native code is entered
 * through this lock: an interrupt waits until the call has returned. Outside the kernel both calls do nothing.
 *
 * The kernel puts an Int32Array over a SharedArrayBuffer on `globalThis[Symbol.for("modalscope.nativeLock")]`;
 * its cells are named by {@link NativeLockCell}.
 */
export const NativeLockCell = {
  /** {@link NativeLockState}: who holds the lock. */
  state: 0,
  /** 1 while an interrupt waits for the native call to return. */
  pending: 1,
  /** How many nested or concurrent native calls are under way. */
  depth: 2,
} as const;

export const NativeLockState = { free: 0, native: 1, interrupting: 2 } as const;

const key = Symbol.for("modalscope.nativeLock");

/** Milliseconds that a returning native call gives a waiting interrupt to arrive. */
const handOverMs = 1000;

function sharedLock(): Int32Array | undefined {
  return (globalThis as { [key]?: Int32Array })[key];
}

/** Call before entering native code; pair it with {@link unlockNative} in a `finally`. Calls may nest. */
export function lockNative(): void {
  const lock = sharedLock();
  if (lock === undefined) return;
  if (Atomics.add(lock, NativeLockCell.depth, 1) > 0) return;
  const { free, native } = NativeLockState;
  for (;;) {
    const found = Atomics.compareExchange(lock, NativeLockCell.state, free, native);
    if (found === free) return;
    Atomics.wait(lock, NativeLockCell.state, found);
  }
}

/** Call when native code has returned. An interrupt that came meanwhile stops the caller here. */
export function unlockNative(): void {
  const lock = sharedLock();
  if (lock === undefined) return;
  if (Atomics.sub(lock, NativeLockCell.depth, 1) > 1) return;
  Atomics.store(lock, NativeLockCell.state, NativeLockState.free);
  Atomics.notify(lock, NativeLockCell.state);
  if (Atomics.load(lock, NativeLockCell.pending) === 1) {
    // Without this pause a loop of short native calls would take the lock again before the interrupt can.
    Atomics.wait(lock, NativeLockCell.pending, 1, handOverMs);
  }
}
