import { ModalscopeError } from "../../errors.js";

/** @throws ModalscopeError for an id outside the vocabulary */
export function checkTokens(ids: readonly number[], vocabSize: number): void {
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (wrong !== undefined) throw new ModalscopeError(`Token ${wrong} is not one of the ${vocabSize} tokens.`);
}
