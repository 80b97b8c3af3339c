/** Calls that the compiler accepts and the check of options refuses. Nothing runs them: `wide-options.ts` has to find each. */
import { checkOptions, flag, integer } from "../../lib/options.js";

interface CountOptions {
  readonly count?: number;
}

interface WideOptions extends CountOptions {
  readonly size?: number;
}

function take(options: CountOptions): void {
  checkOptions("take", options, { count: integer() });
}

/** Gives on what it is given. */
function takeTwice({ count, ...others }: WideOptions & { readonly twice?: boolean }): void {
  take({ count });
  checkOptions("takeTwice", others, { size: integer(), twice: flag });
}

class Taker {
  constructor(options: CountOptions) {
    take({ ...options, count: 1 });
  }
  again(options?: CountOptions): void {
    take(options ?? {});
  }
}

class Heir extends Taker {
  constructor(wide: WideOptions) {
    super(wide); // size
  }
}

export function wideCalls(wide: WideOptions, isSized: boolean): void {
  take({ count: wide.count });
  take(wide); // size
  take({ ...wide }); // size
  take({ ...(isSized && { size: 1 }), count: 1 }); // size
  take(isSized ? wide : {}); // size
  const { name, ...rest } = { ...wide, name: "" };
  take(rest); // size
  const narrow: CountOptions = wide;
  take(narrow); // size
  new Taker(wide); // size
  new Heir(wide).again(wide); // size
  const named = { twice: true, name };
  takeTwice(named); // name
}
