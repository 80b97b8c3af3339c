/** Slots of the array that the cells' thread and the watchdog share. */
export const WatchdogSlot = {
  /** The latest run whose end the session has been told. Written by the cells' thread, under the native lock. */
  ended: 0,
  /** The run that an interrupt was asked for. Written by the watchdog. */
  requested: 1,
  /** 1 while the process is on its way to its end. Written by the cells' thread. */
  exiting: 2,
} as const;
