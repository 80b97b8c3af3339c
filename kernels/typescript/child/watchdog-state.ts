/** Slots of the array that the main thread and the watchdog share: interrupts answered, and the last cell that ended. */
export const WatchdogSlot = { answered: 0, ended: 1 } as const;
