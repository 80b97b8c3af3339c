import { packageVersion } from "../../lib/package-root.js";
import { type Message, protocolVersion } from "../protocol/index.js";
import { toCodePoints } from "./code-points.js";
import type { History } from "./history.js";
import { languageInfo } from "./language-info.js";
import type { IoPub } from "./publisher.js";
import { type Content, codeAndCursor, textIn } from "./request.js";
import type { Session } from "./session.js";

export interface AnswerParts {
  session: Session;
  history: History;
  iopub: IoPub;
  /** Ends the kernel. */
  shutDown(): Promise<void>;
}

/** Gives the content of the reply, and what to do once it is out; undefined for messages that have no reply. */
export type Answer = (message: Message) => Promise<{ content: Content; after?: () => void } | undefined>;

/** Answers to Jupyter's requests but for `execute_request`, by the type of the message. */
export function createAnswers({
  session,
  history,
  iopub,
  shutDown,
}: AnswerParts): ReadonlyMap<string, Answer> {
  return new Map<string, Answer>([
    ["kernel_info_request", async () => ({ content: kernelInfo() })],
    [
      "complete_request",
      async ({ content }) => {
        const { code, cursor } = codeAndCursor(content);
        const { matches, start, end, types } = await session.complete(code, cursor);
        const experimental = types.map((type) => ({
          ...type,
          start: toCodePoints(code, type.start),
          end: toCodePoints(code, type.end),
        }));
        return {
          content: {
            status: "ok",
            matches,
            cursor_start: toCodePoints(code, start),
            cursor_end: toCodePoints(code, end),
            metadata: { _jupyter_types_experimental: experimental },
          },
        };
      },
    ],
    [
      "inspect_request",
      async ({ content }) => {
        const { code, cursor } = codeAndCursor(content);
        const text = await session.inspect(code, cursor);
        const data = text === undefined ? {} : { "text/plain": text };
        return { content: { status: "ok", found: text !== undefined, data, metadata: {} } };
      },
    ],
    [
      "is_complete_request",
      async ({ content }) => {
        const { status, indent } = await session.isComplete(textIn(content, "code"));
        return { content: status === "incomplete" ? { status, indent } : { status } };
      },
    ],
    [
      "history_request",
      async ({ content }) => ({ content: { status: "ok", history: history.find(content) } }),
    ],
    ["comm_info_request", async () => ({ content: { status: "ok", comms: {} } })],
    [
      "comm_open",
      async ({ content, header }) => {
        // There are no comm targets here; the client is told at once.
        await iopub.send("comm_close", { comm_id: textIn(content, "comm_id"), data: {} }, header);
        return undefined;
      },
    ],
    // To comms that are not open: nothing to do.
    ["comm_msg", async () => undefined],
    ["comm_close", async () => undefined],
    [
      "interrupt_request",
      async () => {
        session.interrupt();
        return { content: { status: "ok" } };
      },
    ],
    [
      "shutdown_request",
      async ({ content, header }) => {
        const reply = { status: "ok", restart: content.restart === true };
        await iopub.send("shutdown_reply", reply, header);
        return { content: reply, after: () => void shutDown() };
      },
    ],
  ]);
}

function kernelInfo(): Content {
  return {
    status: "ok",
    protocol_version: protocolVersion,
    implementation: "modalscope",
    implementation_version: packageVersion(),
    language_info: languageInfo,
    banner: `modalscope ${packageVersion()}: TypeScript on Node ${process.version}`,
    help_links: [{ text: "TypeScript handbook", url: "https://www.typescriptlang.org/docs/handbook/" }],
    supported_features: [],
    debugger: false,
  };
}
