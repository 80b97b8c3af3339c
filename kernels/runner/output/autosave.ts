/** Saves while a cell runs, without being asked by each output. */
export interface Autosave {
  /** A cell has begun: a first save comes soon, if the cell is not over by then. */
  begin(): void;
  /** There is something new. */
  touch(): void;
  end(): void;
}

/** Time for short cells to end, whose end is saved anyway. */
const firstMs = 250;

/** Saving takes at most this part of the time, however large the notebook. */
const largestShare = 0.1;

/** @param everySeconds between two saves; 0 for none */
export function autosave(everySeconds: number, save: () => void): Autosave {
  let timer: NodeJS.Timeout | undefined;
  let changed = false;

  function wait(ms: number): void {
    timer = setTimeout(tick, ms);
  }

  function tick(): void {
    const begun = performance.now();
    if (changed) {
      changed = false;
      save();
    }
    wait(Math.max(everySeconds * 1000, (performance.now() - begun) / largestShare));
  }

  return {
    begin() {
      changed = true;
      if (everySeconds > 0) wait(Math.min(firstMs, everySeconds * 1000));
    },
    touch() {
      changed = true;
    },
    end() {
      clearTimeout(timer);
    },
  };
}
