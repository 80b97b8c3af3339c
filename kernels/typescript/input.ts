import type { Router } from "zeromq";
import { encodeMessage, type Message, newHeader, queuedSend, receiveMessage } from "../protocol/index.js";

/** Asks the person at the client for lines of input, one at a time. */
export interface InputRequester {
  /** @throws when the client that sent the running cell cannot be asked. */
  ask(prompt: string, password: boolean): Promise<string>;
  /** Takes the answers; ends with the socket. */
  serve(): Promise<void>;
}

export interface InputRequesterParts {
  socket: Router;
  key: string;
  sessionId: string;
  /** The request whose cell runs, and who sent it. */
  executing(): Message | undefined;
  /** Publishes gathered output, which comes before the question. */
  flush(): Promise<void>;
  log(line: string): void;
}

interface Question {
  asking: Message;
  content: { prompt: string; password: boolean };
  resolve(line: string): void;
  reject(error: unknown): void;
}

export function createInputRequester({
  socket,
  key,
  sessionId,
  executing,
  flush,
  log,
}: InputRequesterParts): InputRequester {
  const send = queuedSend(socket);
  /** The first one is at the client. */
  let questions: Question[] = [];

  function put({ asking, content, reject }: Question): void {
    const message: Message = {
      identities: asking.identities,
      header: newHeader("input_request", sessionId),
      parent: asking.header,
      metadata: {},
      content,
      buffers: [],
    };
    flush()
      .then(() => send(encodeMessage(message, key)))
      .catch(reject);
  }

  return {
    async ask(prompt, password) {
      const asking = executing();
      if (asking === undefined) throw new Error("No cell runs, so nobody can be asked for input.");
      if (asking.content.allow_stdin !== true) {
        throw new Error("This client cannot be asked for input (allow_stdin is false).");
      }
      return new Promise((resolve, reject) => {
        // A cell that was interrupted has left its questions behind.
        questions = questions.filter((question) => question.asking === asking);
        questions.push({ asking, content: { prompt, password }, resolve, reject });
        if (questions.length === 1) put(questions[0]);
      });
    },
    async serve() {
      for await (const frames of socket) {
        const received = receiveMessage(frames, key);
        if (received.problem !== undefined) {
          log(`A message was dropped. ${received.problem}`);
          continue;
        }
        const { message } = received;
        if (message.header.msg_type !== "input_reply") continue;
        // An answer to a cell that has ended is nobody's.
        questions = questions.filter((question) => question.asking === executing());
        questions.shift()?.resolve(String(message.content.value));
        if (questions.length > 0) put(questions[0]);
      }
    },
  };
}
