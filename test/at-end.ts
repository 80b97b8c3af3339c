import { after } from "node:test";

const work: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const one of work) await one();
});

/** Does something when all tests of the process have ended: those of several files, where they run together. */
export function atEnd(one: () => Promise<void> | void): void {
  work.push(one);
}
