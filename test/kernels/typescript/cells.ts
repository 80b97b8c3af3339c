import assert from "node:assert/strict";
import type { ErrorContent, Output } from "../../../kernels/protocol/outputs.js";
import { type Outcome, openSession, type Session } from "../../../kernels/typescript/session.js";
import { within } from "./within.js";

export interface Ran {
  outcome: Outcome;
  outputs: Output[];
  /** All that was printed. */
  text: string;
  /** The result as text. */
  result: string;
}

/** A session whose cells are numbered, and whose ends are not waited for for ever. */
export interface Cells {
  readonly session: Session;
  run(code: string, onOutput?: (output: Output) => void): Promise<Ran>;
  /** The result of a cell that must succeed. */
  value(code: string): Promise<string>;
  /** The error of a cell that must fail. */
  error(code: string): Promise<ErrorContent>;
}

export function openCells(folder: string): Cells {
  const session = openSession({ folder });
  let count = 0;

  async function run(code: string, onOutput: (output: Output) => void = () => {}): Promise<Ran> {
    const outputs: Output[] = [];
    const executed = session.execute(code, {
      count: ++count,
      onOutput(output) {
        outputs.push(output);
        onOutput(output);
      },
    });
    const outcome = await within(executed, `the end of the cell ${JSON.stringify(code.slice(0, 200))}`);
    const text = outputs.map((o) => (o.type === "stream" ? o.content.text : "")).join("");
    const last = outputs.find((o) => o.type === "execute_result");
    return {
      outcome,
      outputs,
      text,
      result: last === undefined ? "" : String(last.content.data["text/plain"]),
    };
  }

  return {
    session,
    run,
    async value(code) {
      const { outcome, result } = await run(code);
      assert.equal(outcome.status, "ok", JSON.stringify(outcome.error));
      return result;
    },
    async error(code) {
      const { outcome } = await run(code);
      assert.ok(outcome.error !== undefined, `This cell succeeded: ${code}`);
      return outcome.error;
    },
  };
}
