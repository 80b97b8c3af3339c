/** Where in the shared array the main thread tells the watchdog what. */
export const ToldCell = { answered: 0, ended: 1 } as const;
