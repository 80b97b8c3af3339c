import { ModalscopeError } from "../lib/errors.js";

/** For assert.throws and assert.rejects: a ModalscopeError whose message says this. */
export function says(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof ModalscopeError && pattern.test(error.message)) return true;
    throw new Error(`expected a ModalscopeError like ${pattern}, got ${error}`, { cause: error });
  };
}
