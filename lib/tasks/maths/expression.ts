import { ModalscopeError } from "../../errors.js";

/**
 * The value of an arithmetic expression of numbers, `+ - * /`, a sign, brackets, and `max(…)` or `min(…)`.
 * @throws ModalscopeError when it is anything else, or divides by zero.
 */
export function evaluate(expression: string): number {
  const tokens = expression.match(/\d+(?:\.\d+)?|max|min|\S/g) ?? [];
  let at = 0;
  const fail = (why: string): never => {
    throw new ModalscopeError(
      `"${expression}" is not an arithmetic expression.`,
      why,
      "Use numbers, + - * /, brackets, max and min.",
    );
  };

  const sum = (): number => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") {
      value = tokens[at++] === "+" ? value + product() : value - product();
    }
    return value;
  };
  const product = (): number => {
    let value = factor();
    while (tokens[at] === "*" || tokens[at] === "/") {
      const divides = tokens[at++] === "/";
      const right = factor();
      if (divides && right === 0) fail("It divides by zero.");
      value = divides ? value / right : value * right;
    }
    return value;
  };
  const factor = (): number => {
    const token = tokens[at++];
    if (token === "-") return -factor();
    if (token === "(") {
      const value = sum();
      if (tokens[at++] !== ")") fail("A bracket is not closed.");
      return value;
    }
    if (token === "max" || token === "min") return Math[token](...list());
    return /^\d/.test(token ?? "") ? Number(token) : fail(`A number is missing at ${token ?? "its end"}.`);
  };

  const list = (): number[] => {
    if (tokens[at++] !== "(") fail("A bracket is missing.");
    const values = [sum()];
    while (tokens[at] === ",") {
      at++;
      values.push(sum());
    }
    if (tokens[at++] !== ")") fail("A bracket is not closed.");
    return values;
  };

  const value = sum();
  if (at < tokens.length) fail(`"${tokens[at]}" comes after its end.`);
  return value;
}
